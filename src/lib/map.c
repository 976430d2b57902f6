/* A hash map with open addressing and backward-shift deletion; see map.h. */
#include "map.h"

#include <stdlib.h>

#include "log.h"

struct map_slot {
    uint64_t key;
    void *value; /* NULL: free */
};

/* The finaliser of a multiplicative hash; keys are ids that this service made, so no attacker
 * chooses them. */
static size_t home(const struct map *m, uint64_t key)
{
    key ^= key >> 32;
    key *= 0x9e3779b97f4a7c15u;
    return (size_t)(key >> 32) & (m->size - 1);
}

/* The slot that holds key, or the free one where it would go. */
static size_t find_slot(const struct map *m, uint64_t key)
{
    size_t i = home(m, key);
    while (m->slots[i].value && m->slots[i].key != key)
        i = (i + 1) & (m->size - 1);
    return i;
}

void *map_get(const struct map *m, uint64_t key)
{
    return m->size ? m->slots[find_slot(m, key)].value : NULL;
}

static void grow(struct map *m)
{
    struct map old = *m;
    m->size = old.size ? old.size * 2 : 16;
    m->slots = xcalloc(m->size, sizeof(*m->slots));
    for (size_t i = 0; i < old.size; i++)
        if (old.slots[i].value)
            m->slots[find_slot(m, old.slots[i].key)] = old.slots[i];
    free(old.slots);
}

void map_put(struct map *m, uint64_t key, void *value)
{
    if (!value)
        bug("map_put of NULL");
    if ((m->count + 1) * 4 > m->size * 3)
        grow(m);
    struct map_slot *s = &m->slots[find_slot(m, key)];
    if (!s->value)
        m->count++;
    *s = (struct map_slot){key, value};
}

void *map_remove(struct map *m, uint64_t key)
{
    if (!m->size)
        return NULL;
    size_t hole = find_slot(m, key);
    void *value = m->slots[hole].value;
    if (!value)
        return NULL;
    m->count--;
    /* Move later entries of the run into the hole unless that would put them before their home. */
    for (size_t i = hole;;) {
        i = (i + 1) & (m->size - 1);
        if (!m->slots[i].value)
            break;
        size_t from_home = (i - home(m, m->slots[i].key)) & (m->size - 1);
        size_t from_hole = (i - hole) & (m->size - 1);
        if (from_home >= from_hole) {
            m->slots[hole] = m->slots[i];
            hole = i;
        }
    }
    m->slots[hole].value = NULL;
    return value;
}

void *map_next(const struct map *m, size_t *at)
{
    while (*at < m->size) {
        void *value = m->slots[(*at)++].value;
        if (value)
            return value;
    }
    return NULL;
}

void map_free(struct map *m)
{
    free(m->slots);
    *m = (struct map){0};
}

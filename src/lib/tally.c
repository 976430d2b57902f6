/* Counts by number; see tally.h. The counts are stored as the map's pointers. */
#include "tally.h"

#include "log.h"

bool tally_add(struct tally *t, uint64_t key, int64_t most)
{
    uintptr_t n = (uintptr_t)map_get(&t->counts, key);
    if ((int64_t)n >= most)
        return false;
    map_put(&t->counts, key, (void *)(n + 1));
    return true;
}

void tally_drop(struct tally *t, uint64_t key)
{
    uintptr_t n = (uintptr_t)map_remove(&t->counts, key);
    if (n == 0)
        bug("a count below zero");
    if (n > 1)
        map_put(&t->counts, key, (void *)(n - 1));
}

int64_t tally_count(const struct tally *t, uint64_t key)
{
    return (int64_t)(uintptr_t)map_get(&t->counts, key);
}

void tally_free(struct tally *t)
{
    map_free(&t->counts);
}

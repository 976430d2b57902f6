/* Users by their ids; see people.h. */
#include "people.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "log.h"
#include "map.h"

struct person {
    char *name; /* NULL: not known */
    bool online;
    bool asked;
};

int64_t people_me;
static struct map people;
static int64_t missing;

static struct person *get(int64_t id)
{
    struct person *p = (struct person *)map_get(&people, (uint64_t)id);
    if (!p) {
        p = xcalloc(1, sizeof(*p));
        map_put(&people, (uint64_t)id, p);
    }
    return p;
}

const char *people_name(int64_t id)
{
    static char text[40];
    struct person *p = get(id);
    if (p->name)
        return p->name;
    if (!p->asked && !missing)
        missing = id;
    snprintf(text, sizeof(text), "user %" PRId64, id);
    return text;
}

int64_t people_missing(void)
{
    int64_t id = missing;
    missing = 0;
    if (id)
        get(id)->asked = true;
    return id;
}

void people_learn(int64_t id, struct text name)
{
    if (!id || !name.n)
        return;
    struct person *p = get(id);
    free(p->name);
    p->name = xstrndup(name.p, name.n);
}

bool people_online(int64_t id)
{
    const struct person *p = (const struct person *)map_get(&people, (uint64_t)id);
    return p && p->online;
}

void people_set_online(int64_t id, bool online)
{
    get(id)->online = online;
}

void people_free(void)
{
    size_t at = 0;
    for (struct person *p; (p = (struct person *)map_next(&people, &at));) {
        free(p->name);
        free(p);
    }
    map_free(&people);
}

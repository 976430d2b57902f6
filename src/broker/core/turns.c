/* Queues that take turns; see turns.h. */
#include "turns.h"

#include <stdbool.h>
#include <stdlib.h>

#include "log.h"

struct turns_queue {
    TAILQ_ENTRY(turns_queue) next; /* in the round */
    TAILQ_HEAD(turns_things, turn) things;
    uint64_t key;
    size_t count, cost; /* of what waits */
    int64_t credit;     /* what it may still use in this turn; below zero: what it owes */
};

void turns_init(struct turns *t, size_t share)
{
    *t = (struct turns){.share = share};
    TAILQ_INIT(&t->round);
}

void turns_free(struct turns *t)
{
    map_free(&t->queues);
}

static struct turns_queue *new_queue(struct turns *t, uint64_t key)
{
    struct turns_queue *q = xcalloc(1, sizeof(*q));
    q->key = key;
    q->credit = (int64_t)t->share;
    TAILQ_INIT(&q->things);
    TAILQ_INSERT_TAIL(&t->round, q, next);
    map_put(&t->queues, key, q);
    return q;
}

static void drop_queue(struct turns *t, struct turns_queue *q)
{
    TAILQ_REMOVE(&t->round, q, next);
    map_remove(&t->queues, q->key);
    free(q);
}

void turns_add(struct turns *t, uint64_t key, struct turn *thing, size_t cost)
{
    struct turns_queue *q = map_get(&t->queues, key);
    if (!q)
        q = new_queue(t, key);
    thing->cost = cost;
    TAILQ_INSERT_TAIL(&q->things, thing, next);
    q->count++;
    q->cost += cost;
    t->count++;
}

static void remove_thing(struct turns *t, struct turns_queue *q, struct turn *thing)
{
    TAILQ_REMOVE(&q->things, thing, next);
    q->cost -= thing->cost;
    t->count--;
    if (--q->count == 0)
        drop_queue(t, q);
}

static struct turn *take_first(struct turns *t, struct turns_queue *q)
{
    struct turn *thing = TAILQ_FIRST(&q->things);
    remove_thing(t, q, thing);
    return thing;
}

static bool may_go(const struct turns_queue *q)
{
    return q->credit >= (int64_t)TAILQ_FIRST(&q->things)->cost;
}

struct turn *turns_take(struct turns *t)
{
    struct turns_queue *q = TAILQ_FIRST(&t->round);
    if (!q)
        return NULL;
    while (!may_go(q)) {
        /* Its turn is over. */
        TAILQ_REMOVE(&t->round, q, next);
        TAILQ_INSERT_TAIL(&t->round, q, next);
        q->credit += (int64_t)t->share;
        q = TAILQ_FIRST(&t->round);
    }
    q->credit -= (int64_t)TAILQ_FIRST(&q->things)->cost;
    return take_first(t, q);
}

struct turn *turns_take_of(struct turns *t, uint64_t key)
{
    struct turns_queue *q = map_get(&t->queues, key);
    return q ? take_first(t, q) : NULL;
}

struct turn *turns_first_of(const struct turns *t, uint64_t key)
{
    const struct turns_queue *q = map_get(&t->queues, key);
    return q ? TAILQ_FIRST(&q->things) : NULL;
}

struct turn *turns_last_of(const struct turns *t, uint64_t key)
{
    const struct turns_queue *q = map_get(&t->queues, key);
    return q ? TAILQ_LAST(&q->things, turns_things) : NULL;
}

void turns_remove(struct turns *t, uint64_t key, struct turn *thing)
{
    remove_thing(t, map_get(&t->queues, key), thing);
}

struct turn *turns_last_of_most(const struct turns *t, uint64_t *key)
{
    const struct turns_queue *q, *most = TAILQ_FIRST(&t->round);
    if (!most)
        return NULL;
    TAILQ_FOREACH (q, &t->round, next)
        if (q->count > most->count)
            most = q;
    *key = most->key;
    return TAILQ_LAST(&most->things, turns_things);
}

void turns_charge(struct turns *t, uint64_t key, size_t cost)
{
    struct turns_queue *q = map_get(&t->queues, key);
    if (q)
        q->credit -= (int64_t)cost;
}

size_t turns_count(const struct turns *t, uint64_t key)
{
    const struct turns_queue *q = map_get(&t->queues, key);
    return q ? q->count : 0;
}

size_t turns_cost(const struct turns *t, uint64_t key)
{
    const struct turns_queue *q = map_get(&t->queues, key);
    return q ? q->cost : 0;
}

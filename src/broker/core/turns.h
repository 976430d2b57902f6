/*
 * Queues that take turns: one for each account (or address) that waits for something scarce.
 *
 * A queue gets a share of cost at each of its turns, and keeps what it cannot use yet for a thing
 * that costs more (deficit round robin, Shreedhar and Varghese, 1995). So what others get does not
 * depend on how much anybody asks for, or over how many connections; and whoever has nothing
 * waiting is served within one turn of each of those who have.
 */
#ifndef TURNS_H
#define TURNS_H

#include <stddef.h>
#include <stdint.h>
#include <sys/queue.h>

#include "map.h"

/* The first member of whatever waits. The caller owns it. */
struct turn {
    TAILQ_ENTRY(turn) next;
    size_t cost;
};

struct turns_queue;

struct turns {
    struct map queues; /* by key: those in which something waits */
    TAILQ_HEAD(, turns_queue) round;
    size_t share; /* of cost, for each queue at each of its turns */
    size_t count; /* of all that waits */
};

/* share: at least 1. The larger it is, the more of one queue is served in a row. */
void turns_init(struct turns *t, size_t share);

/* Frees the queues; nothing may wait in them any more. */
void turns_free(struct turns *t);

/* Puts a thing behind what waits under this key. */
void turns_add(struct turns *t, uint64_t key, struct turn *thing, size_t cost);

/* Takes the thing whose turn it is; NULL: nothing waits. */
struct turn *turns_take(struct turns *t);

/* Takes the first thing under this key, out of turn; NULL: none waits. */
struct turn *turns_take_of(struct turns *t, uint64_t key);

/* The first and the last thing under this key; NULL: none waits. */
struct turn *turns_first_of(const struct turns *t, uint64_t key);
struct turn *turns_last_of(const struct turns *t, uint64_t key);

/* Takes this thing, which waits under this key, from wherever it is. */
void turns_remove(struct turns *t, uint64_t key, struct turn *thing);

/* The last thing of those who have the most waiting, and their key; NULL: nothing waits. Looks at
 * every queue. */
struct turn *turns_last_of_most(const struct turns *t, uint64_t *key);

/* What was taken under this key has cost so much more than was known. As long as something waits
 * under it, that is due before its next turn. */
void turns_charge(struct turns *t, uint64_t key, size_t cost);

/* How many things wait under this key, and what they cost together. */
size_t turns_count(const struct turns *t, uint64_t key);
size_t turns_cost(const struct turns *t, uint64_t key);

#endif

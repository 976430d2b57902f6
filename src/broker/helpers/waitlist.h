/*
 * What waits for a helper to be free.
 *
 * Keys, such as addresses and accounts, take turns (turns.h): one thing of each, whoever has how
 * many. What is urgent goes before the rest, in turns of its own; but after a few in a row one of
 * the rest goes, so that nobody can shut it out.
 *
 * Both parts are bounded. In a full one, whoever has most makes room, with the last that came; so
 * nobody is refused for what one other has waiting, and what is urgent never for what is not.
 */
#ifndef WAITLIST_H
#define WAITLIST_H

#include <stdbool.h>

#include "turns.h"

/* So many urgent things go in a row while others wait. */
enum { WAITLIST_ROW = 4 };

/* The first member of whatever waits. The caller owns it, and has set the last two members. */
struct waiter {
    struct turn turn;
    TAILQ_ENTRY(waiter) arrived;
    uint64_t key;
    bool urgent;
};

/* All zero bytes: a list without room. */
struct waitlist {
    struct turns urgent, rest;
    TAILQ_HEAD(, waiter) arrivals;
    size_t most; /* in each of the two */
    int row;     /* urgent ones taken in a row */
};

void waitlist_init(struct waitlist *l, size_t most);

/* Frees the list; nothing may wait in it any more. */
void waitlist_free(struct waitlist *l);

/* Is there no room for this one, unless another leaves? */
bool waitlist_is_full(const struct waitlist *l, const struct waiter *w);

/* Puts one in. Returns the one for which there is no room, and which is not in the list: another,
 * or this one; NULL: there was room. */
struct waiter *waitlist_add(struct waitlist *l, struct waiter *w);

/* Takes the one that goes next; NULL: nothing waits. */
struct waiter *waitlist_take(struct waitlist *l);

/* Takes this one out. */
void waitlist_remove(struct waitlist *l, struct waiter *w);

/* The one that has waited longest, and the one that came after this one; NULL: none. */
struct waiter *waitlist_oldest(const struct waitlist *l);
struct waiter *waitlist_after(const struct waiter *w);

size_t waitlist_count(const struct waitlist *l);

#endif

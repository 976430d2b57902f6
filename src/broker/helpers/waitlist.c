/* What waits for a helper; see waitlist.h. */
#include "waitlist.h"

static struct turns *part_of(struct waitlist *l, const struct waiter *w)
{
    return w->urgent ? &l->urgent : &l->rest;
}

void waitlist_init(struct waitlist *l, size_t most)
{
    l->most = most;
    l->row = 0;
    turns_init(&l->urgent, 1);
    turns_init(&l->rest, 1);
    TAILQ_INIT(&l->arrivals);
}

void waitlist_free(struct waitlist *l)
{
    turns_free(&l->urgent);
    turns_free(&l->rest);
}

bool waitlist_is_full(const struct waitlist *l, const struct waiter *w)
{
    return (w->urgent ? l->urgent.count : l->rest.count) >= l->most;
}

void waitlist_remove(struct waitlist *l, struct waiter *w)
{
    turns_remove(part_of(l, w), w->key, &w->turn);
    TAILQ_REMOVE(&l->arrivals, w, arrived);
}

/* One that leaves for the newcomer; the newcomer, if it would then have as many as anybody. */
static struct waiter *make_room(struct waitlist *l, struct waiter *newcomer)
{
    struct turns *part = part_of(l, newcomer);
    uint64_t key;
    struct waiter *last = (struct waiter *)turns_last_of_most(part, &key);
    if (!last || turns_count(part, key) <= turns_count(part, newcomer->key) + 1)
        return newcomer;
    waitlist_remove(l, last);
    return last;
}

struct waiter *waitlist_add(struct waitlist *l, struct waiter *w)
{
    struct waiter *out = waitlist_is_full(l, w) ? make_room(l, w) : NULL;
    if (out != w) {
        turns_add(part_of(l, w), w->key, &w->turn, 1);
        TAILQ_INSERT_TAIL(&l->arrivals, w, arrived);
    }
    return out;
}

struct waiter *waitlist_take(struct waitlist *l)
{
    bool urgent = l->urgent.count > 0 && (l->rest.count == 0 || l->row < WAITLIST_ROW);
    struct waiter *w = (struct waiter *)turns_take(urgent ? &l->urgent : &l->rest);
    if (!w)
        return NULL;
    l->row = urgent && l->rest.count > 0 ? l->row + 1 : 0;
    TAILQ_REMOVE(&l->arrivals, w, arrived);
    return w;
}

struct waiter *waitlist_oldest(const struct waitlist *l)
{
    return TAILQ_FIRST(&l->arrivals);
}

struct waiter *waitlist_after(const struct waiter *w)
{
    return TAILQ_NEXT(w, arrived);
}

size_t waitlist_count(const struct waitlist *l)
{
    return l->urgent.count + l->rest.count;
}

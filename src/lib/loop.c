/* The event loop; see loop.h. */
#include "loop.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"

enum { EVENTS_AT_ONCE = 256 };

struct loop {
    int epoll;
    int fetched; /* events of this round, so that loop_remove() can drop later ones */
    struct epoll_event events[EVENTS_AT_ONCE];
    struct loop_timer *timers; /* sorted, the earliest first; a few thousand at most */
};

struct loop *loop_new(void)
{
    struct loop *l = xcalloc(1, sizeof(*l));
    l->epoll = epoll_create1(EPOLL_CLOEXEC);
    if (l->epoll < 0)
        die("epoll_create1: %s", strerror(errno));
    return l;
}

void loop_free(struct loop *l)
{
    close(l->epoll);
    free(l);
}

static void control(struct loop *l, int what, struct loop_watch *w)
{
    struct epoll_event event = {.events = w->events, .data.ptr = w};
    if (epoll_ctl(l->epoll, what, w->fd, &event) < 0)
        die("epoll_ctl on descriptor %d: %s", w->fd, strerror(errno));
}

void loop_add(struct loop *l, struct loop_watch *w)
{
    control(l, EPOLL_CTL_ADD, w);
}

void loop_modify(struct loop *l, struct loop_watch *w, uint32_t events)
{
    if (w->events == events)
        return;
    w->events = events;
    control(l, EPOLL_CTL_MOD, w);
}

void loop_remove(struct loop *l, struct loop_watch *w)
{
    /* A library may have closed its descriptor already; then the kernel has dropped it. */
    if (epoll_ctl(l->epoll, EPOLL_CTL_DEL, w->fd, NULL) < 0 && errno != EBADF && errno != ENOENT)
        die("epoll_ctl on descriptor %d: %s", w->fd, strerror(errno));
    for (int i = 0; i < l->fetched; i++)
        if (l->events[i].data.ptr == w)
            l->events[i].data.ptr = NULL;
}

void loop_timer_stop(struct loop *l, struct loop_timer *t)
{
    if (!t->armed)
        return;
    struct loop_timer **p = &l->timers;
    while (*p != t)
        p = &(*p)->next;
    *p = t->next;
    t->armed = false;
}

void loop_timer_set(struct loop *l, struct loop_timer *t, int64_t ms)
{
    loop_timer_stop(l, t);
    t->at = clock_ms() + ms;
    struct loop_timer **p = &l->timers;
    while (*p && (*p)->at <= t->at)
        p = &(*p)->next;
    t->next = *p;
    *p = t;
    t->armed = true;
}

static void run_due_timers(struct loop *l)
{
    int64_t now = l->timers ? clock_ms() : 0;
    while (l->timers && l->timers->at <= now) {
        struct loop_timer *t = l->timers;
        loop_timer_stop(l, t);
        t->call(t->arg);
    }
}

void loop_once(struct loop *l)
{
    int64_t deadline = l->timers ? l->timers->at : CLOCK_NEVER;
    int n = epoll_wait(l->epoll, l->events, EVENTS_AT_ONCE, clock_until(deadline));
    if (n < 0 && errno != EINTR)
        die("epoll_wait: %s", strerror(errno));
    l->fetched = n > 0 ? n : 0;
    for (int i = 0; i < l->fetched; i++) {
        struct loop_watch *w = l->events[i].data.ptr;
        if (w)
            w->call(w->arg, l->events[i].events);
    }
    l->fetched = 0;
    run_due_timers(l);
}

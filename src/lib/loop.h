/*
 * An event loop over epoll(7) for the processes that watch many descriptors, with one-shot timers.
 *
 * A callback may remove any watch, its own too: events that were already fetched for a
 * removed watch are dropped.
 */
#ifndef LOOP_H
#define LOOP_H

#include <stdbool.h>
#include <stdint.h>

struct loop;

/* One watched descriptor. Embed it in what it belongs to; the loop holds only its address. */
struct loop_watch {
    int fd;
    uint32_t events;                          /* EPOLLIN, EPOLLOUT as asked for */
    void (*call)(void *arg, uint32_t events); /* events: as epoll_wait(2) reported */
    void *arg;
};

/* A one-shot timer. Zero-initialised: not running. */
struct loop_timer {
    int64_t at; /* clock_ms() */
    void (*call)(void *arg);
    void *arg;
    bool armed;
    struct loop_timer *next;
};

struct loop *loop_new(void);
void loop_free(struct loop *l);

/* Starts watching w->fd for w->events. Dies if the kernel refuses. */
void loop_add(struct loop *l, struct loop_watch *w);

/* Changes what is asked for; without a system call if nothing changes. */
void loop_modify(struct loop *l, struct loop_watch *w, uint32_t events);

/* Stops watching. Must come before close(w->fd); if a library has closed it, before anything is
 * opened again. */
void loop_remove(struct loop *l, struct loop_watch *w);

/* Runs t->call(t->arg) once in ms milliseconds; replaces an earlier setting of the same timer. */
void loop_timer_set(struct loop *l, struct loop_timer *t, int64_t ms);
void loop_timer_stop(struct loop *l, struct loop_timer *t);

/* Waits for events and runs their callbacks, then the timers that are due; once. */
void loop_once(struct loop *l);

#endif

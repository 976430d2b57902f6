/*
 * Work for a helper process, or several that share a packet socket: whichever is free takes the
 * next request. At most so many requests are out at one time, the others wait in a bounded queue,
 * and one that nobody has answered in time, be it that a helper took it to its grave, is given up.
 */
#ifndef WORK_H
#define WORK_H

#include "ipc.h"
#include "loop.h"

struct work_job;

/* Is anybody still there for the answer? */
typedef bool work_wanted(const void *arg);

struct work {
    const char *who; /* for the log: "an auth worker" */
    enum ipc_role role;
    int at_once;         /* requests that are out */
    int most;            /* requests that wait */
    int64_t patience;    /* milliseconds for the queue, and as many for the answer */
    work_wanted *wanted; /* asked about those that wait; NULL: all of them are */

    /* Its own. */
    struct loop_watch watch;
    struct loop_timer late_look; /* for requests without an answer in time */
    uint32_t last_seq;
    struct work_job *waiting_first, *waiting_last, *out_first;
    int waiting, out;
};

/* Called once, with a view of the answer, or NULL when there was none: no helper, or too much to
 * do. */
typedef void work_done(void *arg, const struct ipc_message *answer);

/* fd: the broker's end of the packet socket. The members above are set. */
void work_init(struct work *w, int fd);
void work_free(struct work *w);

/* The number to begin a request with. */
uint32_t work_seq(struct work *w);

/* Sends a request, a whole message with a number of work_seq(), as soon as it may be; the packet is
 * taken over, and wiped. */
void work_ask(struct work *w, struct buf *packet, uint32_t seq, work_done *done, void *arg);

#endif

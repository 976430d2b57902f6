/*
 * Requests to one or more helper processes that share a packet socket: whichever is free takes the
 * next. A limited number is outstanding; the others wait in a bounded list, where those who ask
 * take turns (waitlist.h). One without an answer in time is given up, for instance because the
 * helper died; one that nobody waits for any more is not sent.
 */
#ifndef WORK_H
#define WORK_H

#include <sys/queue.h>

#include "histogram.h"
#include "ipc.h"
#include "loop.h"
#include "waitlist.h"

struct work_job;
STAILQ_HEAD(work_queue, work_job);

/* Does anybody still wait for the answer? */
typedef bool work_wanted(const void *arg);

struct work {
    const char *who; /* for the log: "an auth worker" */
    enum ipc_role role;
    int at_once;         /* the most outstanding requests */
    int most;            /* waiting requests: so many urgent ones, and so many others */
    int64_t patience;    /* milliseconds in the list, and as many for the answer */
    work_wanted *wanted; /* asked about waiting requests; NULL: all are wanted */

    /* Private. */
    struct loop_watch watch;
    struct loop_timer late_look; /* for requests without an answer in time */
    uint32_t last_seq;
    struct waitlist waiting;
    struct work_queue out;
    int out_count;
    struct histogram waits;
};

/* Whose turn a request takes. */
struct work_turn {
    uint64_t key; /* an address's, or an account's */
    bool urgent;  /* it goes before what is not */
};

/* Called once, with a view of the answer, or NULL without one: no helper, or overloaded. */
typedef void work_done(void *arg, const struct ipc_message *answer);

/* How many requests wait, and how long those that were sent have. */
size_t work_waiting(const struct work *w);

/* fd: the broker's end of the packet socket. The caller has set the members above "Private". */
void work_init(struct work *w, int fd);
void work_free(struct work *w);

/* The number for a new request. */
uint32_t work_seq(struct work *w);

/* Sends a request, a whole message with a number from work_seq(), when its turn comes; takes over
 * the packet and wipes it. */
void work_ask(struct work *w, struct work_turn turn, struct buf *packet, uint32_t seq,
              work_done *done, void *arg);

#endif

/*
 * The messages that wait for their batch, and which of them go into it.
 *
 * Accounts take turns, weighted by what their messages cost: the bytes that are stored, and the
 * connections here that get a copy. What one account sends to the same conversation in a row costs
 * less in one batch, since each connection is woken once for all of it.
 */
#ifndef SEND_QUEUE_H
#define SEND_QUEUE_H

#include <sys/queue.h>

#include "peer.h"
#include "turns.h"

struct send {
    struct turn turn;          /* among what waits */
    TAILQ_ENTRY(send) arrived; /* the same in the order of arrival */
    STAILQ_ENTRY(send) next;   /* in a batch */
    struct asker asker;
    int64_t sender;
    int64_t receiver, conversation, reply_to; /* as in struct sending */
    uint64_t origin;
    int64_t since; /* clock_ms() of its arrival */
    bool again;    /* it may be stored already without an answer */
    size_t alone;  /* what it costs in a batch that has nothing else for the same receivers */
    size_t id_size, content_size;
    char text[]; /* the id, then the content */
};

struct send_batch {
    STAILQ_HEAD(, send) sends;
    long long count;
};

void send_queue_init(void);

/* Takes over the message of this peer. Pauses the peer if as much of its user waits as may. */
void send_queue_add(struct peer *p, struct send *s);

/* Moves into the batch, which is empty, what goes next: all, or as much as one transaction may
 * cost. The caller owns it then. */
void send_queue_gather(struct send_batch *batch);

/* Takes the batch back, to go before all that waits; it is empty then. */
void send_queue_return(struct send_batch *batch);

/* Takes the first message of the batch; its caller owns it. */
struct send *send_batch_pop(struct send_batch *batch);

/* The message that has waited longest; NULL: nothing waits. The second one takes it. */
const struct send *send_queue_oldest(void);
struct send *send_queue_take_oldest(void);

/* A message that was addressed to a conversation of two goes to this user, whose connections are
 * charged now. */
void send_queue_learn(struct send *s, int64_t receiver);

/* How many wait, without those of a batch that was returned, and with them. */
size_t send_queue_fresh(void);
size_t send_queue_count(void);

/* Nothing may wait any more. */
void send_queue_free(void);

#endif

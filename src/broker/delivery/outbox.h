/*
 * The peers with something queued, so that one write sends all that a round of events put into a
 * peer's queue.
 */
#ifndef OUTBOX_H
#define OUTBOX_H

#include "peer.h"

/* Marks the peer: the next outbox_flush() sends its queue. */
void outbox_add(struct peer *p);

/* Sends what is queued for all marked peers. For the main loop. */
void outbox_flush(void);

void outbox_free(void);

#endif

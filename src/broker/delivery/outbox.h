/*
 * Which peers have something queued: one write sends all that one round of events put into a
 * peer's queue.
 */
#ifndef OUTBOX_H
#define OUTBOX_H

#include "peer.h"

/* The next outbox_flush() sends what is in this peer's queue. */
void outbox_add(struct peer *p);

/* Sends what was queued for any peer. For the main loop. */
void outbox_flush(void);

void outbox_free(void);

#endif

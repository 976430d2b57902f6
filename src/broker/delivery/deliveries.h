/*
 * What is delivered live, and how long that takes: from when this host learns that a change was
 * committed, by the answer of its own statement or by a doorbell, until what it brings has been
 * written to the sessions.
 *
 * All that is handed out in the meantime counts with the time of the change that was learned of
 * first, so the times are upper bounds, and cost two looks at the clock for all of it.
 */
#ifndef DELIVERIES_H
#define DELIVERIES_H

#include <stdint.h>

struct buf;

/* This host has learned that this change was committed. */
void deliveries_learned(uint64_t change);

/* A change was handed out to all whom it concerns here; and its frame was queued for one peer. */
void deliveries_handed_out(void);
void deliveries_given(void);

/* How many frames of changes were queued for peers. */
uint64_t deliveries_count(void);

/* The peers' queues are written. For the main loop. */
void deliveries_written(void);

/* What was learned of is not there any more. */
void deliveries_forget(void);

/* Puts their number and times. */
void deliveries_expose(struct buf *out);

#endif

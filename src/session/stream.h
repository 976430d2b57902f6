/*
 * GET /events: the frames of a WebSocket for those who have none, one way. One JSON a line, or
 * server-sent events (HTML Living Standard, section 9.2) for who accepts text/event-stream.
 */
#ifndef STREAM_H
#define STREAM_H

#include "exchange.h"

/* Answers with the head of the stream once the user is online through this connection, and sets
 * x->next; or says why not. */
void stream_serve(struct exchange *x);

/* Carries frames to the client until the connection ends. */
void stream_run(struct client *c, struct ask *a, const struct next *next);

#endif

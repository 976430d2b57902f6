/*
 * GET /events: the server's WebSocket frames for clients without WebSocket. One line of JSON each,
 * or server-sent events (HTML Living Standard, section 9.2) if they accept text/event-stream.
 */
#ifndef STREAM_H
#define STREAM_H

#include "exchange.h"

/* Brings the user online through this connection, answers with the head of the stream, and sets
 * x->next. If that fails, answers with the error. */
void stream_serve(struct exchange *x);

/* Carries frames to the client until the connection ends. */
void stream_run(struct client *c, struct ask *a, const struct next *next);

#endif

/*
 * What the window asks of the server without waiting: requests whose answers come to a function,
 * and the stream of events. All go through one handle of libcurl's multi interface.
 */
#ifndef CALLS_H
#define CALLS_H

#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "request.h"

/* Takes an answer, which may be none. It is freed behind the call. */
typedef void calls_done(void *arg, int64_t about, const struct answer *a);

/* Asks. Path, body (may be NULL) and key (may be NULL) are copied; arg must stay. */
void calls_ask(const char *method, const char *path, struct text body, const char *key,
               calls_done *done, void *arg, int64_t about);

/* The stream: opens it behind this cursor. */
void calls_stream_open(struct text cursor);
void calls_stream_close(void);
bool calls_stream_is_open(void);

/* The next whole line of the stream, without its end; valid until the next call. */
bool calls_stream_line(struct text *line);

/* How the stream has ended; NULL: it has not. Lines that came before may still be there. */
const struct answer *calls_stream_ended(void);

/* Waits for a descriptor of these two, the network, or until the time is over, in milliseconds; and
 * gives answers to whom they are for. */
void calls_wait(int terminal, int signals, int timeout);

/* Gives up everything under way. */
void calls_free(void);

#endif

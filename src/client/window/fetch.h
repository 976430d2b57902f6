/*
 * What the window wants to know and does not: the list of conversations, members, pages of
 * history, names. It is asked for without waiting, and again, later, if that fails.
 *
 * Such an answer is as of one moment. So frames of the stream wait for it: what is in the answer
 * and comes as a frame, too, comes behind it and changes nothing, and what is not, comes.
 */
#ifndef FETCH_H
#define FETCH_H

#include <stdbool.h>
#include <stdint.h>

#include "room.h"

/* The list is not what the server has: read it again. */
void fetch_stale(void);

/* The stream has ended, or begun again, and the list is read behind that: nothing else waits. */
void fetch_reset(void);

/* Do frames have to wait? */
bool fetch_busy(void);

/* Asks for what is missing; open may be NULL. fetch_due() says when it wants to be called again, on
 * clock_ms(). */
void fetch_tick(struct room *open);
int64_t fetch_due(void);

/* Asks for the page before those that are here, unless that is under way, or there is none. */
void fetch_older(struct room *r);

/* Looks for whom, as the command line names them, and calls found, unless there is none: then that
 * is said. */
void fetch_whom(const char *whom, void (*found)(struct room *r));

#endif

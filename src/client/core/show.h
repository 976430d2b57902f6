/*
 * Texts of others on their way to a terminal, or into a pipe that may end at one.
 *
 * A control character could move the cursor, retitle the window or answer for the user, and one
 * that turns the direction of text makes it look like another. So they are shown as what they are,
 * such as \x1b or \u202e, wherever the output goes.
 */
#ifndef SHOW_H
#define SHOW_H

#include <stdbool.h>
#include <time.h>

#include "buf.h"

enum show_style { SHOW_PLAIN, SHOW_DIM, SHOW_BOLD };

/* Decides about colours: only for a terminal, and not if NO_COLOR is set. */
void show_init(void);

/* Appends a text of one line: bytes that are not UTF-8 and code points that disrupt are escaped;
 * tabs become blanks. */
void show_put(struct buf *out, struct text t);

/* The same in a style, if there are colours. */
void show_styled(struct buf *out, enum show_style style, struct text t);

/* Appends a text that may have several lines. Those after the first are indented, lest one of them
 * passes for a line of ours. */
void show_lines(struct buf *out, struct text t);

/* Appends valid JSON with the same meaning, in one line: what disrupts is escaped as JSON does. */
void show_json(struct buf *out, struct text t);

/* Appends a time of the server (RFC 3339, UTC) as local time, to the minute; as it is if it is
 * none. */
void show_time(struct buf *out, struct text t);

/* A time of the server as time(2) has it. False if it is none. */
bool show_moment(struct text t, time_t *at);

/* Whether a terminal gets bold type; see chat(1) for NO_COLOR. */
bool show_coloured(void);

/* Writes all of out to standard output, and empties it. Ends the program if that takes no more. */
void show_print(struct buf *out);

#endif

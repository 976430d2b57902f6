/*
 * What the user does to conversations: messages, which are sent one after the other and again until
 * there is an answer, each under an id of its own, and changes, which are tried once.
 */
#ifndef POSTING_H
#define POSTING_H

#include <stdbool.h>
#include <stdint.h>

#include "room.h"

/* Sends a message; it stands in the thread at once. reply_to may be 0. */
void posting_send(struct room *r, struct text content, int64_t reply_to);

/* A frame brings a message of one's own: is it one whose acknowledgement has not come yet? */
void posting_claim(const struct room *r, struct text content, int64_t id);

/* Sends what waits for it; posting_due() says when there is something to do, on clock_ms(). */
void posting_tick(void);
int64_t posting_due(void);

/* The server is back: what waits for that is sent at once. */
void posting_hurry(void);

/* How many messages are not acknowledged. */
size_t posting_waiting(void);

/* Changes. What the server has against them is said. */
void posting_edit(const struct room *r, int64_t message, struct text content);
void posting_delete(const struct room *r, int64_t message);
void posting_react(const struct room *r, int64_t message, struct text emoji, bool remove);
void posting_leave(const struct room *r);

/* Says how far the user has read, unless that is known or under way. */
void posting_read(struct room *r, int64_t message);

void posting_free(void);

#endif

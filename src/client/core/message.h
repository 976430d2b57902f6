/* A message, and what else happens in conversations, as a line for people. */
#ifndef MESSAGE_H
#define MESSAGE_H

#include "buf.h"

struct json_object;

/* Appends a message of a history: an object of GET /conversations/:id/messages. */
void message_put(struct buf *out, struct json_object *message);

/* Appends the line of a frame, or nothing where people need not see it. */
void message_put_frame(struct buf *out, struct json_object *frame);

#endif

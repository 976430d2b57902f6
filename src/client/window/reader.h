/* What the server says, as it is kept: people, conversations and messages. */
#ifndef READER_H
#define READER_H

#include <stdint.h>

#include "room.h"

struct json_object;

/* A conversation as GET /conversations has it. One without a message is sorted by rank. NULL if it
 * is none. */
struct room *reader_room(struct json_object *o, int64_t rank);

/* Members as GET /conversations/:id/members has them. */
void reader_members(struct room *r, struct json_object *list);

/* A message of a history. */
void reader_post(struct room *r, struct json_object *o);

/* The message of a frame message, and what a frame message_changed says of one that is here. */
void reader_frame(struct room *r, struct json_object *frame, struct json_object *data);
void reader_changed(struct room *r, struct json_object *frame, struct json_object *data);

#endif

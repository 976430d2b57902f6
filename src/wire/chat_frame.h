/*
 * Chat frames: the JSON objects that a client sends over WebSocket.
 *
 * Unknown members are ignored, so that newer clients work with older servers; known ones must have
 * the right type and be within bounds.
 */
#ifndef CHAT_FRAME_H
#define CHAT_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text.h"

struct buf;
struct json_object;

enum chat_type {
    CHAT_INVALID,
    CHAT_MESSAGE,
    CHAT_RESUME,
    CHAT_AUTH,
    CHAT_PING,
    CHAT_TYPING,
    CHAT_READ,
    CHAT_DELIVERED,
    CHAT_EDIT,
    CHAT_DELETE,
    CHAT_REACT,
};

/* Views into the parsed object; they live until chat_frame_free(). */
struct chat_frame {
    enum chat_type type;
    struct text id;      /* NULL: none given, or not usable */
    struct text content; /* CHAT_REACT: the emoji */
    bool removes;        /* CHAT_REACT: takes it back */
    int64_t receiver;    /* CHAT_MESSAGE, CHAT_TYPING; 0: it names the conversation */
    int64_t conversation;
    int64_t reply_to; /* CHAT_MESSAGE; 0: it answers no other */
    int64_t
        message; /* CHAT_READ, CHAT_DELIVERED: up to this one; CHAT_EDIT, CHAT_DELETE, CHAT_REACT */
    struct text cursor; /* CHAT_RESUME: empty: from now on */
    struct text token;  /* CHAT_AUTH: not empty */
    const char *code;   /* CHAT_INVALID: what is wrong, as a word ... */
    const char *error;  /* ... and as a sentence; static */
    struct json_object *json;
};

enum { CHAT_MAX_ID = 64 };

/* Parses one frame; f->type is CHAT_INVALID if it is not acceptable. Even then f has the id if it
 * could be read, so that the error can name it. */
void chat_frame_parse(struct chat_frame *f, const char *text, size_t n, size_t max_content);

void chat_frame_free(struct chat_frame *f);

/* Is this text acceptable as a message's content? NULL, or what is wrong with it (static). */
const char *chat_content_error(size_t size, size_t max_content);

/* Appends {"type":"error", ...}. id: NULL for none. */
void chat_put_error(struct buf *out, struct text id, const char *code, bool temporary,
                    const char *text);

/* Appends {"type":"ack", ...}. duplicate: was the message there already? NULL: this
 * acknowledges a change, which has no such member. */
void chat_put_ack(struct buf *out, struct text id, uint64_t message, struct text cursor,
                  const bool *duplicate);

/* Appends {"type":"resumed", ...}. id: NULL for none. */
void chat_put_resumed(struct buf *out, struct text id, struct text cursor, bool recovered);

/* Appends {"type":"authenticated", ...}: the user, and for how many seconds. id: NULL for none. */
void chat_put_authenticated(struct buf *out, struct text id, int64_t user, int64_t expires_in);

/* Appends {"type":"pong"}, with the id of the ping if it had one. */
void chat_put_pong(struct buf *out, struct text id);

#endif

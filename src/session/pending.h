/*
 * Messages, changes of them, and receipts, which the client has sent and the broker has not
 * answered yet. They are kept whole, so that none is lost if the broker dies: the next one gets
 * them again, under the same id.
 */
#ifndef PENDING_H
#define PENDING_H

#include "chat_frame.h"
#include "ipc_table.h"

struct pending_item {
    enum chat_type type;
    struct pending_item *next;
    uint32_t seq;     /* of the request that carries it now */
    int64_t deadline; /* clock_ms(): without an answer by then the client gets an error */
    bool posted;      /* already sent to a broker */
    bool has_id;      /* the client named it; unless it is a receipt it expects an ack */
    int64_t receiver; /* CHAT_MESSAGE; 0: it names the conversation */
    int64_t conversation, message;
    bool removes;     /* CHAT_REACT */
    int64_t reply_to; /* CHAT_MESSAGE; 0: it answers no other */
    size_t id_size, content_size;
    char text[]; /* the id, then the content */
};

/* Oldest first. All zero bytes: empty. */
struct pending {
    struct pending_item *first, *last;
    unsigned count;
    size_t bytes;
};

/* True while there is room for one more. */
bool pending_room(const struct pending *p);

/* Keeps a copy of the frame, of a message with an id made up for it if it has none. */
struct pending_item *pending_add(struct pending *p, const struct chat_frame *f, int64_t deadline);

/* The id that the client gave it; NULL: none. */
struct text pending_id(const struct pending_item *item);

/* Takes the item with this number out, or NULL. For free(3). */
struct pending_item *pending_take(struct pending *p, uint32_t seq);

void pending_free(struct pending *p);

#endif

/*
 * The answers to a peer's messages, and to its changes of them, each in its place among the
 * changes.
 *
 * Acknowledgements follow the order of changes: the one for change 91 goes out after every change
 * before 91 that concerns the peer. So a client can resume from whatever it saw last. Refusals and
 * duplicates have no place of their own; they keep the order of the messages.
 */
#ifndef ANSWERS_H
#define ANSWERS_H

#include "db.h"
#include "peer.h"

struct answer_ack {
    struct cursor change; /* its place; that of a message is the message's own */
    uint64_t message;
    bool duplicate;
};

/* What the asker wanted is stored: it will get SENT. */
void answers_ack(struct asker asker, struct answer_ack ack);

/* It was refused: the asker will get FAILED. */
void answers_refuse(struct asker asker, enum ipc_error error);

/* Queues the answers up to the first that waits for a change after this one. The caller has queued
 * all changes up to here that concern the peer. */
void answers_put(struct peer *p, uint64_t upto);

/* Changes were handed out: queues the answers that waited for them. */
void answers_release(void);

/* The database lost changes, perhaps the messages whose acknowledgements wait: tells the senders to
 * send them again. */
void answers_void(struct peer *p);

/* Answers with the JSON that is the only value of this result, and frees the asker; null: with this
 * error. */
void answers_json(struct asker *a, const PGresult *result, enum ipc_error null);

void answers_free(void);

#endif

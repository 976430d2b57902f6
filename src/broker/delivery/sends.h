/*
 * Group commit: messages wait while the writing connection is busy, then go together in one
 * statement and one transaction. Idle: a batch of one, at once. Busy: batches grow by themselves.
 * Each message gets its own result, and its sender gets the answer after COMMIT.
 *
 * Accounts take turns, weighted by bytes: a batch has something of each that waits, however much
 * one of them sends and over however many connections. The order of one account's messages stays.
 */
#ifndef SENDS_H
#define SENDS_H

#include "db.h"
#include "peer.h"

struct sending {
    int64_t receiver;     /* 0: the members of the conversation */
    int64_t conversation; /* 0: that of sender and receiver */
    struct text id, content;
    int64_t reply_to; /* 0: it answers no message */
    bool again; /* the session sent it to an earlier broker and got no answer; finding it stored
                 * does not make it a duplicate */
};

void sends_init(void);

/* Queues a message from this bound peer; copies the texts. Pauses the peer when as many of its user
 * wait as may. */
void sends_add(struct peer *p, struct asker asker, const struct sending *m);

/* Starts the next batch; true if there is one. */
bool sends_write(struct db *writer);
bool sends_has_work(void);

/* How many messages wait. */
size_t sends_waiting(void);

/* The link is lost. A batch whose outcome is unknown goes first when the link is back: its ids make
 * a repeat harmless. A message that waits too long gets a temporary error. */
void sends_link_lost(void);

void sends_free(void);

#endif

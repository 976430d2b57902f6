/*
 * Group commit: messages wait while the connection that writes is busy, then all that wait go in
 * one statement and one transaction. Idle: a batch of one, at once. Busy: batches grow by
 * themselves. Each message gets its own result, and its sender hears of it after COMMIT.
 */
#ifndef SENDS_H
#define SENDS_H

#include "db.h"
#include "peer.h"

/* Queues a message from this bound peer. The texts are copied. again: the session has sent it to
 * an earlier broker, without an answer; that does not make it a duplicate. */
void sends_add(struct peer *p, uint32_t seq, int64_t receiver, struct ipc_text id,
               struct ipc_text content, bool again);

/* Starts the next batch. True if there was one. */
bool sends_write(struct db *writer);
bool sends_has_work(void);

/* The link was lost. A batch whose outcome is unknown goes first when it is back: its ids make
 * sending it again harmless. What waits too long is answered with a temporary error. */
void sends_link_lost(void);

void sends_free(void);

#endif

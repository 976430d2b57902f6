/*
 * Changes of messages: new texts, deletions, and reactions. They wait while the writing connection
 * is busy, then go together in one statement and one transaction. Each gets its own result, after
 * COMMIT.
 *
 * Accounts take turns, weighted by bytes. A batch is no larger than what each account that waits
 * has a share of: so one that changes its messages as fast as it can holds up the messages of
 * others, whose batches alternate with these, by its own share and no more.
 *
 * A change that was made may be made again, so nothing here is ever in doubt: if the link is lost,
 * whoever waits gets a temporary error, and may ask again.
 */
#ifndef EDITS_H
#define EDITS_H

#include "db.h"
#include "peer.h"

struct histogram;

struct editing {
    int64_t conversation, message;
    bool deletes; /* the message, or the reaction */
    bool reacts;
    struct text content; /* unless it deletes; of a reaction the emoji, always */
};

void edits_init(void);

/* Queues a change that this bound peer asks for; copies the text. Fails it when as many of its
 * user, or of all, wait as may. */
void edits_add(struct peer *p, struct asker asker, const struct editing *e);

/* Starts the next batch; true if there is one. */
bool edits_write(struct db *writer);
bool edits_has_work(void);

/* How many changes wait, and how long those that were sent to the database have. */
size_t edits_waiting(void);
const struct histogram *edits_waits(void);

/* The link is lost. */
void edits_link_lost(void);

void edits_free(void);

#endif

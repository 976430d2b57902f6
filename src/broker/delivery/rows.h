/*
 * Makes and removes, in batches, the rows that stand for attached sessions in the database.
 *
 * A user with a row is online. The row of a session that has gone stays for presence_debounce, so a
 * user who comes back within that time was never offline.
 */
#ifndef ROWS_H
#define ROWS_H

#include "db.h"
#include "peer.h"

/* The database's answer about a peer's row, which is now committed. */
struct row {
    bool known;           /* the user exists; otherwise there is no row */
    bool honoured;        /* the named cursor is good */
    struct cursor cursor; /* the bell rings here for every change after it */
    uint64_t presence;
    bool grouped; /* the user is in a group */
};

/* opened: called for each new row whose peer is still attached. */
void rows_init(void (*opened)(struct peer *p, const struct row *row));

/* Queues the making of the peer's row. */
void rows_open(struct peer *p);

/* The peer needs no row any more. Harmless if it has none. */
void rows_close(struct peer *p);

/* The host has a new number: every attached peer needs a row under it. */
void rows_open_all(void);

/* The link is lost, and with it all rows. */
void rows_link_lost(void);

/* The service ends: removes rows without delay. */
void rows_hurry(void);

/* Makes or removes a batch of rows. True if a statement was started. */
bool rows_write(struct db *writer);
bool rows_has_work(void);

void rows_free(void);

#endif

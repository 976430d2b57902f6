/*
 * The rows that stand for attached sessions in the database: made and removed in batches.
 *
 * While its row is there a session's user is online. The row of a session that has gone stays for
 * presence_debounce longer: whoever comes back within that time was never gone.
 */
#ifndef ROWS_H
#define ROWS_H

#include "db.h"
#include "peer.h"

/* The database's answer about a peer's row, which is committed now. */
struct row {
    bool known;           /* the user exists; otherwise there is no row */
    bool honoured;        /* the cursor that was named is good */
    struct cursor cursor; /* whatever comes after it rings here */
    uint64_t presence;
};

/* opened: called for each row that was made and whose peer is still attached. */
void rows_init(void (*opened)(struct peer *p, const struct row *row));

/* Has a row made for the peer. */
void rows_open(struct peer *p);

/* The peer needs no row any more. Harmless if it has none. */
void rows_close(struct peer *p);

/* The link begins anew: each of these peers needs a row of the new host. */
void rows_open_all(void);

/* The link was lost, and with it all rows. */
void rows_link_lost(void);

/* The end of the service: rows go at once. */
void rows_hurry(void);

/* Makes or removes a batch of rows. True if a statement was started. */
bool rows_write(struct db *writer);
bool rows_has_work(void);

void rows_free(void);

#endif

/*
 * A few connections (db_readers) for everything that neither listens nor sends messages: accounts,
 * lists, history, catching up.
 *
 * Accounts, and the addresses of strangers, take turns, weighted by the time that the database has
 * spent on each. What keeps people in (logins, tokens, catching up) goes before lists, histories,
 * what is shown of an account or changed there, who is typing, who has read what, and retention;
 * these never have the last connection. What a peer that has gone asked for is not run, unless it
 * changes an account that is there.
 */
#ifndef POOL_H
#define POOL_H

#include "db.h"
#include "peer.h"

struct histogram;

void pool_init(void);
void pool_free(void);

/* This host is attached: connects, or reconnects as soon as a connection has answered, lest it read
 * from a server that has been replaced. So the link gets its two connections first where the server
 * allows few, and if there is no server, one attempt finds out for all. */
void pool_link_up(void);

/* The link is down. Connections that are up go on; others wait for the link. */
void pool_link_lost(void);

/* Runs a statement for this peer (NULL: for the broker itself), now or when its turn comes. Frees
 * what params holds. If there is no database, too much waits, or the peer has gone, done gets NULL,
 * perhaps before this returns. */
void pool_run(const struct peer *p, enum statement statement, struct db_params *params,
              db_done *done, void *arg);

/* How many statements wait, and how long those that were started have. */
size_t pool_waiting(void);
const struct histogram *pool_waits(void);

/* Puts how long statements took. */
void pool_expose(struct buf *out);

#endif

/*
 * A few connections (db_readers) for everything that neither listens nor sends messages: accounts,
 * lists, history, catching up. Statements wait in one queue for the next free connection.
 */
#ifndef POOL_H
#define POOL_H

#include "db.h"

void pool_init(void);
void pool_free(void);

/* This host is attached: connects, or reconnects as soon as a connection has answered, lest it read
 * from a server that has been replaced. So the link gets its two connections first where the server
 * allows few, and if there is no server, one attempt finds out for all. */
void pool_link_up(void);

/* The link is down. Connections that are up go on; others wait for the link. */
void pool_link_lost(void);

/* Runs a statement, now or when a connection is free. Frees what params holds. If there is no
 * database, or the queue is full, done gets NULL, perhaps before this returns. */
void pool_run(enum statement statement, struct db_params *params, db_done *done, void *arg);

#endif

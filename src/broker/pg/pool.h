/*
 * A few connections (db_readers) for everything that neither listens nor sends messages: accounts,
 * lists, history, catching up. Statements wait in one queue for the next free connection.
 */
#ifndef POOL_H
#define POOL_H

#include "db.h"

void pool_init(void);
void pool_free(void);

/* This host is attached: each connection is made, or made anew as soon as it has answered, lest it
 * read from a server that has been replaced. So the link has its two first where the server allows
 * few, and one attempt finds out for all that there is no server. */
void pool_link_up(void);

/* The link is down. Who is connected serves on; who is not waits for the link. */
void pool_link_lost(void);

/* Runs a statement, now or when a connection is free. Frees what params holds. If there is no
 * database, or too much waits already, done gets NULL, perhaps before this returns. */
void pool_run(enum statement statement, struct db_params *params, db_done *done, void *arg);

#endif

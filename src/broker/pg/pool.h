/*
 * A few connections (db_readers) for everything that neither listens nor sends messages: accounts,
 * lists, history, catching up. Statements wait in one queue for the next free connection.
 */
#ifndef POOL_H
#define POOL_H

#include "db.h"

void pool_init(void);
void pool_free(void);

/* The link was lost, and with it perhaps the server: each connection is made anew as soon as it has
 * answered, lest it read from a server that has been replaced. */
void pool_renew(void);

/* Runs a statement, now or when a connection is free. Frees what params holds. If there is no
 * database, or too much waits already, done gets NULL, perhaps before this returns. */
void pool_run(enum statement statement, struct db_params *params, db_done *done, void *arg);

#endif

/*
 * Begins a connection to the PostgreSQL of the configuration.
 *
 * With several servers in db_host, libpq goes on to the next when one refuses. To one that says
 * nothing, such as a machine without power, it gives all the time that there is. So the attempt
 * after one that got no connection in time begins with the next server. The turn is one for all
 * connections of this process, which fail together.
 */
#ifndef SERVER_H
#define SERVER_H

#include <libpq-fe.h>
#include <stdint.h>

struct conf;

/* Counts the attempts that got no connection in time. Says with which server an attempt begins. */
unsigned server_turn(void);

/* How long this attempt may take, in milliseconds, and as long again until each answer that it
 * needs. Longer after each round of the servers in which none answered in time: they, or this
 * machine, have too much to do, and to begin again would waste what was done. */
int64_t server_patience(const struct conf *conf);

/* An attempt of this turn was not ready in time. Several of one turn count once. */
void server_silent(unsigned turn);

/* This host is attached: servers have their first patience again. */
void server_served(void);

/* Begins an asynchronous connection, for PQconnectPoll(), under this name (in pg_stat_activity,
 * behind "chatd "). Never NULL; its status may be CONNECTION_BAD. The caller ends it. */
PGconn *server_connect(const struct conf *conf, const char *name, unsigned turn);

#endif

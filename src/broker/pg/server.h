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

struct conf;

/* Counts the attempts that got no connection in time. Says with which server an attempt begins. */
unsigned server_turn(void);

/* An attempt of this turn got no connection in time. Several of one turn count once. */
void server_silent(unsigned turn);

/* Begins an asynchronous connection, for PQconnectPoll(), under this name (in pg_stat_activity,
 * behind "chatd "). Never NULL; its status may be CONNECTION_BAD. The caller ends it. */
PGconn *server_connect(const struct conf *conf, const char *name, unsigned turn);

#endif

/*
 * The database, as its owner sees it.
 *
 * Whom and what to connect to: -o, then PG* in the environment, then the configuration's db_host,
 * db_port and db_name, then libpq's defaults. The role is --owner, PGUSER, or the name of the user
 * that runs chatctl; root connects to a local server as the user postgres, as Debian's servers want
 * it. Never as db_user: that one may not do what is done here.
 */
#ifndef OWNER_H
#define OWNER_H

#include <libpq-fe.h>
#include <stdbool.h>

#include "grid.h"

enum { OWNER_PARAMETERS = 4 };

/* The connection to the database of the configuration, made at the first call. Ends the program
 * with CTL_AWAY if there is none. */
PGconn *owner(void);

/* Another connection, to another database of the server; for the caller to PQfinish(). */
PGconn *owner_connect(const char *database);

/* The same to the database of the configuration, but NULL, with the reason in why, if that fails.
 */
PGconn *owner_try(char *why, size_t size);

/* The name of the database that owner() connects to. */
const char *owner_database(void);

/* What to put into the environment of a program of PostgreSQL so that it connects likewise, and
 * whom to run it as, if that is somebody else: (uid_t)-1 stands for nobody else. For a child. */
void owner_become(void);

/* Runs one statement with these texts as $1, $2, ...; NULL after the last. Ends the
 * program if it fails: with CTL_UNKNOWN where the database knows no such row. The caller clears the
 * result. */
struct owner_texts {
    const char *p[OWNER_PARAMETERS];
};
PGresult *owner_ask(PGconn *pg, const char *sql, const struct owner_texts *texts);

/* The same in the owner's database. */
PGresult *owner_run(const char *sql, const char *first, const char *second);

/* The value of the first row and column; "" if there is no row, or null. For free(3). */
char *owner_value(const char *sql, const char *first, const char *second);

/* The rows as a grid: numbers, truth values and arrays of names are such in JSON. Clears the
 * result. */
void owner_grid(struct grid *g, PGresult *result);

/* A time of a column as chatd-protocol(7) writes it, without the quotes of JSON; SQL. */
#define OWNER_TIME(column) "btrim(chatd.json_time(" column "), '\"')"

/* Begin, commit: what comes between happens as a whole or, if the program ends, not at all. The
 * change lock of chatd, which orders all changes, is held. */
void owner_begin(void);
void owner_commit(void);

#endif

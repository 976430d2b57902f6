/* Does the database have the schema that this program needs? The first query of each connection. */
#ifndef SCHEMA_H
#define SCHEMA_H

#include <libpq-fe.h>
#include <stdbool.h>

/* The number of the last migration that this program was written for. */
#define SCHEMA_VERSION 30

/* What sql/migrate finds that number by, for each connection: an advisory lock (this class,
 * number), which nobody waits for. */
#define SCHEMA_CLASS 1667789686

#define SCHEMA_TEXT_OF(n) #n
#define SCHEMA_TEXT(n)    SCHEMA_TEXT_OF(n)

/* It also sets what connection options cannot: transaction_timeout is unknown before PostgreSQL 17;
 * and synchronous_commit may name any way of waiting for a standby, but must not be off, since an
 * acknowledged message is durable. */
#define SCHEMA_QUERY                                                                               \
    "select s.oldest, s.newest, current_setting('session_replication_role'),"                      \
    " case when current_setting('transaction_timeout', true) is not null"                          \
    " then set_config('transaction_timeout', '0', false) end,"                                     \
    " case when current_setting('synchronous_commit') = 'off'"                                     \
    " then set_config('synchronous_commit', 'on', false) end,"                                     \
    " pg_try_advisory_lock_shared(" SCHEMA_TEXT(SCHEMA_CLASS) ", " SCHEMA_TEXT(                    \
        SCHEMA_VERSION) ") from chatd_api.schema_range() s"

/* Judges the answer to SCHEMA_QUERY: a schema fits if this program's version is in its range. If
 * the database does not fit, logs what to do. */
bool schema_fits(const PGconn *pg, const PGresult *result);

#endif

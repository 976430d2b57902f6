/*
 * One asynchronous connection to PostgreSQL (libpq), in the broker's event loop.
 *
 * It connects, checks the schema version, prepares its statements, then runs one statement at a
 * time, with binary parameters and results. It never reconnects by itself: it reports that it is
 * down, and the owner decides when to call db_connect() again.
 */
#ifndef DB_H
#define DB_H

#include <libpq-fe.h>
#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "conf.h"
#include "ipc.h"
#include "loop.h"
#include "statements.h"

struct db;

struct db_owner {
    void (*up)(void *arg);                        /* ready to run statements */
    void (*down)(void *arg);                      /* failed to connect, or lost; already logged */
    void (*bell)(void *arg, const char *payload); /* a notification; may be NULL */
    void (*refused)(void *arg);                   /* the server refuses db_user; down follows */
};

/* name: for the log and application_name. where: DB_LISTENER, DB_WRITER or DB_POOL. */
struct db *db_new(struct loop *loop, const struct conf *conf, const char *name, unsigned where,
                  const struct db_owner *owner, void *arg);

/* Starts connecting; calls owner->up or owner->down, perhaps before it returns. */
void db_connect(struct db *db);

/* Closes without telling the owner. A statement under way gets NULL. */
void db_close(struct db *db);
void db_free(struct db *db);

/* Can a statement run now? */
bool db_ready(const struct db *db);

/* Parameters of one statement, built in order, in PostgreSQL's binary format. */
enum { DB_MAX_PARAMS = 11 };
struct db_params {
    struct buf bytes;
    int count;
    size_t at[DB_MAX_PARAMS];
    int length[DB_MAX_PARAMS]; /* -1: null */
};
void db_param_null(struct db_params *p);
void db_param_int8(struct db_params *p, int64_t v);
/* A bound, where 0 says that there is none, which is null in the database. */
void db_param_bound(struct db_params *p, int64_t most);
void db_param_bool(struct db_params *p, bool v);
void db_param_int4(struct db_params *p, int32_t v);
void db_param_text(struct db_params *p, const char *text, size_t n);
/* Can PostgreSQL store this text? It has to be UTF-8 without NUL. */
bool db_can_store(const char *text, size_t n);
/* An array of count elements of one of these types: begin, the elements, end. */
enum { DB_BOOL_OID = 16, DB_INT8_OID = 20, DB_TEXT_OID = 25 };
void db_param_array(struct db_params *p, Oid type, size_t count);
void db_array_bool(struct db_params *p, bool v);
void db_array_int8(struct db_params *p, int64_t v);
void db_array_text(struct db_params *p, const char *text, size_t n);
void db_array_null(struct db_params *p);
void db_array_end(struct db_params *p);
/* A bigint[] of the int64_t or uint64_t values in ids. */
void db_param_ids(struct db_params *p, const struct buf *ids);
/* The same of at most so many of them, which it takes out of ids. */
void db_param_some_ids(struct db_params *p, struct buf *ids, size_t most);

/* Called once for each statement with its rows. NULL: no answer; the outcome of a write is unknown.
 * If PostgreSQL refused the statement, db_ok() is false. */
typedef void db_done(void *arg, const PGresult *result);

/* Runs a statement; db_ready() must be true. Frees what p holds. */
void db_run(struct db *db, enum statement statement, struct db_params *p, db_done *done, void *arg);

/* Did it succeed? A failure has been logged. */
bool db_ok(const PGresult *result);

/* Did it fail because other hosts have removed this one? */
bool db_host_removed(const PGresult *result);

/* What to answer when db_ok() is false. */
enum ipc_error db_error(const PGresult *result);

/* Values of a row. Null reads as 0 or empty text. */
int64_t db_int(const PGresult *result, int row, int column);
bool db_bool(const PGresult *result, int row, int column);
/* A change and, in the column behind it, its stamp. */
struct cursor db_cursor(const PGresult *result, int row, int column);
const char *db_text(const PGresult *result, int row, int column, size_t *n);

/* A word that a statement answers with, and what it means. */
struct db_status {
    const char *word; /* NULL ends the table: any other */
    enum ipc_error error;
};
enum ipc_error db_status(const PGresult *result, int row, int column,
                         const struct db_status *known);
bool db_is_null(const PGresult *result, int row, int column);
/* The elements of a bigint[]; at most max are stored in v. Returns how many there are. */
size_t db_int_array(const PGresult *result, int row, int column, int64_t *v, size_t max);

#endif

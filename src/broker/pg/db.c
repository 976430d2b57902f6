/* An asynchronous PostgreSQL connection; see db.h. */
#include "db.h"

#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "log.h"
#include "schema.h"
#include "server.h"
#include "trouble.h"

enum {
    ANSWER_TIMEOUT_MS = 20000, /* above statement_timeout: so it is the network that failed */
};

enum db_state { CLOSED, CONNECTING, CHECKING, PREPARING, READY, RUNNING };

#define STATEMENT_ROW(name, where, sql) {#name, (where), (sql)},
static const struct {
    const char *name;
    unsigned where;
    const char *sql;
} statements[STATEMENT_COUNT] = {STATEMENTS(STATEMENT_ROW)};

struct db {
    struct loop *loop;
    const struct conf *conf;
    const char *name;
    unsigned where;
    const struct db_owner *owner;
    void *owner_arg;

    enum db_state state;
    PGconn *pg;
    struct loop_watch watch;
    bool watched;
    struct loop_timer timer;
    unsigned turn; /* see server.h */
    int preparing; /* the statement being prepared */

    enum statement running;
    struct db_params params; /* of the running statement, if it has a careful form */
    PGresult *result;        /* the answer, until the connection is free again */
    db_done *done;
    void *done_arg;
};

static void on_io(void *arg, uint32_t events);
static void on_timeout(void *arg);

struct db *db_new(struct loop *loop, const struct conf *conf, const char *name, unsigned where,
                  const struct db_owner *owner, void *arg)
{
    struct db *db = xcalloc(1, sizeof(*db));
    *db = (struct db){.loop = loop,
                      .conf = conf,
                      .name = name,
                      .where = where,
                      .owner = owner,
                      .owner_arg = arg,
                      .watch = {.call = on_io, .arg = db},
                      .timer = {.call = on_timeout, .arg = db}};
    return db;
}

static void unwatch(struct db *db)
{
    if (db->watched)
        loop_remove(db->loop, &db->watch);
    db->watched = false;
}

/* libpq may change its socket while it tries several hosts. */
static void watch(struct db *db, uint32_t events)
{
    int fd = PQsocket(db->pg);
    if (db->watched && db->watch.fd == fd) {
        loop_modify(db->loop, &db->watch, events);
        return;
    }
    db->watched = true;
    db->watch.fd = fd;
    db->watch.events = events;
    loop_add(db->loop, &db->watch);
}

/* Answers the statement under way, if any. */
static void give_result(struct db *db, const PGresult *result)
{
    db_done *done = db->done;
    db->done = NULL;
    buf_wipe(&db->params.bytes);
    if (done)
        done(db->done_arg, result);
}

void db_close(struct db *db)
{
    unwatch(db);
    loop_timer_stop(db->loop, &db->timer);
    PQclear(db->result);
    db->result = NULL;
    PQfinish(db->pg);
    db->pg = NULL;
    db->state = CLOSED;
    give_result(db, NULL);
}

void db_free(struct db *db)
{
    db_close(db);
    free(db);
}

bool db_ready(const struct db *db)
{
    return db->state == READY;
}

static void end_db(struct db *db)
{
    db_close(db);
    db->owner->down(db->owner_arg);
}

static void fail_db(struct db *db, const char *what)
{
    const char *why = db->pg ? PQerrorMessage(db->pg) : "";
    if (trouble_tell(db->name, what, why, db->state == CONNECTING))
        db->owner->refused(db->owner_arg);
    end_db(db);
}

static void on_timeout(void *arg)
{
    struct db *db = arg;
    if (db->state < READY)
        server_silent(db->turn);
    fail_db(db, db->state == CONNECTING ? "no connection in time" : "no answer in time");
}

static void send_pending(struct db *db)
{
    int rest = PQflush(db->pg);
    if (rest < 0)
        fail_db(db, "cannot send");
    else
        watch(db, rest ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

static void check_schema(struct db *db)
{
    db->state = CHECKING;
    loop_timer_set(db->loop, &db->timer, server_patience(db->conf));
    if (!PQsendQuery(db->pg, SCHEMA_QUERY))
        fail_db(db, "cannot ask for the schema's version");
    else
        send_pending(db);
}

/* Prepares this connection's next statement; after the last, reports it up. */
static void prepare_next(struct db *db)
{
    db->state = PREPARING;
    while (db->preparing < STATEMENT_COUNT && !(statements[db->preparing].where & db->where))
        db->preparing++;
    if (db->preparing == STATEMENT_COUNT) {
        db->state = READY;
        loop_timer_stop(db->loop, &db->timer);
        trouble_over();
        db->owner->up(db->owner_arg);
        return;
    }
    loop_timer_set(db->loop, &db->timer, server_patience(db->conf));
    if (!PQsendPrepare(db->pg, statements[db->preparing].name, statements[db->preparing].sql, 0,
                       NULL))
        fail_db(db, "cannot prepare");
    else
        send_pending(db);
}

static void connect_step(struct db *db)
{
    switch (PQconnectPoll(db->pg)) {
    case PGRES_POLLING_READING:
        watch(db, EPOLLIN);
        break;
    case PGRES_POLLING_WRITING:
        watch(db, EPOLLOUT);
        break;
    case PGRES_POLLING_OK:
        PQsetnonblocking(db->pg, 1);
        PQsetErrorVerbosity(db->pg, PQERRORS_DEFAULT);
        check_schema(db);
        break;
    default:
        fail_db(db, "cannot connect");
    }
}

/* Logs an unreadable message once, as far back as this remembers. Other notices are for people at a
 * terminal. */
static void on_notice(void *arg, const PGresult *result)
{
    (void)arg;
    static long long told[64];
    static size_t next;
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *detail = PQresultErrorField(result, PG_DIAG_MESSAGE_DETAIL);
    if (!state || strcmp(state, "CH002") != 0 || !detail)
        return;
    long long id = strtoll(detail, NULL, 10);
    for (size_t i = 0; i < sizeof(told) / sizeof(told[0]); i++)
        if (told[i] == id)
            return;
    told[next++ % (sizeof(told) / sizeof(told[0]))] = id;
    log_warn("%s", PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY));
}

void db_connect(struct db *db)
{
    db->preparing = 0;
    db->turn = server_turn();
    db->pg = server_connect(db->conf, db->name, db->turn);
    PQsetNoticeReceiver(db->pg, on_notice, NULL);
    PQsetErrorVerbosity(db->pg, PQERRORS_VERBOSE);
    loop_timer_set(db->loop, &db->timer, server_patience(db->conf));
    db->state = CONNECTING;
    if (PQstatus(db->pg) == CONNECTION_BAD)
        fail_db(db, "cannot connect");
    else
        watch(db, EPOLLOUT);
}

/* The form of the statement that takes the same parameters and leaves out unreadable rows;
 * STATEMENT_COUNT: none. */
static enum statement careful_form(enum statement statement)
{
    switch (statement) {
    case STATEMENT_EVENT_READ:
        return STATEMENT_EVENT_READ_CAREFUL;
    case STATEMENT_EVENT_READ_USER:
        return STATEMENT_EVENT_READ_USER_CAREFUL;
    case STATEMENT_MESSAGE_HISTORY:
        return STATEMENT_MESSAGE_HISTORY_CAREFUL;
    case STATEMENT_CONVERSATION_HISTORY:
        return STATEMENT_CONVERSATION_HISTORY_CAREFUL;
    case STATEMENT_CONVERSATION_LIST:
        return STATEMENT_CONVERSATION_LIST_CAREFUL;
    case STATEMENT_CONVERSATION_SHOW:
        return STATEMENT_CONVERSATION_SHOW_CAREFUL;
    default:
        return STATEMENT_COUNT;
    }
}

void db_run(struct db *db, enum statement statement, struct db_params *p, db_done *done, void *arg)
{
    if (db->state != READY || !(statements[statement].where & db->where))
        bug("db: %s cannot run on \"%s\" now", statements[statement].name, db->name);
    const char *values[DB_MAX_PARAMS];
    int formats[DB_MAX_PARAMS];
    for (int i = 0; i < p->count; i++) {
        values[i] = p->length[i] < 0 ? NULL : (const char *)buf_head(&p->bytes) + p->at[i];
        if (p->length[i] == 0)
            values[i] = "";
        formats[i] = 1;
    }
    db->state = RUNNING;
    db->running = statement;
    db->done = done;
    db->done_arg = arg;
    loop_timer_set(db->loop, &db->timer, ANSWER_TIMEOUT_MS);
    int sent = PQsendQueryPrepared(db->pg, statements[statement].name, p->count, values, p->length,
                                   formats, 1);
    if (careful_form(statement) != STATEMENT_COUNT)
        db->params = *p;
    else
        buf_wipe(&p->bytes);
    *p = (struct db_params){0};
    if (!sent)
        fail_db(db, "cannot send");
    else
        send_pending(db);
}

bool db_ok(const PGresult *result)
{
    return result && PQresultStatus(result) == PGRES_TUPLES_OK;
}

bool db_host_removed(const PGresult *result)
{
    const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    return state && strcmp(state, "CH001") == 0;
}

enum ipc_error db_error(const PGresult *result)
{
    /* Classes of SQLSTATE that pass by themselves: connection, resources, operator, rollback. */
    static const char passing[][3] = {"08", "53", "57", "40", "55"};
    const char *state = result ? PQresultErrorField(result, PG_DIAG_SQLSTATE) : NULL;
    for (size_t i = 0; state && i < sizeof(passing) / sizeof(passing[0]); i++)
        if (strncmp(state, passing[i], 2) == 0)
            return IPC_E_UNAVAILABLE;
    return state ? IPC_E_INTERNAL : IPC_E_UNAVAILABLE;
}

/* A primary that was demoted, or is shutting down, still answers but is of no use. Nor is a
 * connection of which a migration has changed what a prepared statement returns. */
static bool server_left_us(const PGresult *result)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    return state && (strncmp(state, "57P", 3) == 0 || strcmp(state, "25006") == 0 ||
                     strcmp(state, "0A000") == 0);
}

/* Stored data cannot be read. */
static bool is_data_error(const PGresult *result)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    return state && (strncmp(state, "22", 2) == 0 || strcmp(state, "XX001") == 0 ||
                     strcmp(state, "XX002") == 0);
}

static void run_careful_form(struct db *db)
{
    struct db_params p = db->params;
    db->params = (struct db_params){0};
    db->state = READY;
    db_run(db, careful_form(db->running), &p, db->done, db->done_arg);
}

static void on_result(struct db *db, PGresult *result)
{
    if (db->state == RUNNING && is_data_error(result) &&
        careful_form(db->running) != STATEMENT_COUNT) {
        run_careful_form(db);
    } else if (db->state == RUNNING) {
        if (!db_ok(result))
            trouble_error("%s: %.*s", statements[db->running].name,
                          (int)strcspn(PQresultErrorMessage(result), "\n"),
                          PQresultErrorMessage(result));
        if (server_left_us(result) || PQstatus(db->pg) == CONNECTION_BAD) {
            fail_db(db, "lost");
            return;
        }
        db->state = READY;
        loop_timer_stop(db->loop, &db->timer);
        give_result(db, result);
    } else if (db->state == CHECKING) {
        if (schema_fits(db->pg, result))
            prepare_next(db);
        else
            end_db(db); /* the reason was logged */
    } else if (PQresultStatus(result) == PGRES_COMMAND_OK) {
        db->preparing++;
        prepare_next(db);
    } else {
        fail_db(db, "cannot prepare a statement");
    }
}

/* Takes the statement's one result once the connection is free for the next. */
static void take_result(struct db *db)
{
    if (db->state < CHECKING || db->state == READY)
        return;
    while (!PQisBusy(db->pg)) {
        PGresult *result = PQgetResult(db->pg);
        if (result && (!db->result || !db_ok(result))) {
            /* A second result is the failure of the COMMIT after the first, and overrides it. */
            PQclear(db->result);
            db->result = result;
        } else if (result) {
            PQclear(result);
        } else {
            result = db->result;
            db->result = NULL;
            if (result)
                on_result(db, result);
            PQclear(result);
            return;
        }
    }
}

static void take_bells(struct db *db)
{
    for (PGnotify *n; db->pg && (n = PQnotifies(db->pg)); PQfreemem(n))
        if (db->owner->bell)
            db->owner->bell(db->owner_arg, n->extra);
}

static void on_io(void *arg, uint32_t events)
{
    struct db *db = arg;
    if (db->state == CONNECTING) {
        /* When libpq tries the next host it may close its socket and open another, even with the
         * same number: so decide at each step what to watch. */
        unwatch(db);
        connect_step(db);
        return;
    }
    if (events & EPOLLOUT)
        send_pending(db);
    if (!db->pg || !(events & ~(uint32_t)EPOLLOUT))
        return;
    if (!PQconsumeInput(db->pg)) {
        fail_db(db, "lost");
        return;
    }
    take_result(db);
    take_bells(db);
}

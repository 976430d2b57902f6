/* The pool of database connections; see pool.h. */
#include "pool.h"

#include <stdlib.h>

#include "backoff.h"
#include "broker.h"
#include "clock.h"
#include "exposition.h"
#include "histogram.h"
#include "link.h"
#include "log.h"
#include "turns.h"

enum {
    QUEUE_MAX = 20000,
    QUEUE_EACH = 200, /* of one account */
    SHARE_MS = 5,     /* of the database, for each account in its turn */
    JOB_MS = 1,       /* what is known of a job before it has run */
};

struct job {
    struct turn turn;
    uint64_t key;  /* whose turn: an account's or an address's */
    uint64_t peer; /* 0: nobody waits for it */
    enum statement statement;
    struct db_params params;
    db_done *done;
    void *arg;
    int64_t since; /* clock_us(): it waits, then it runs */
};

struct member {
    struct db *db;
    struct backoff backoff;
    struct loop_timer retry;
    enum { AWAY, TRYING, CONNECTED } state;
    bool failed; /* the last attempt to connect, its own or the link's that it waits for */
    bool stale;  /* reconnect when it has answered */
    struct job *running;
};

static struct member *members;
static long long member_count;
static struct turns urgent, bulk; /* what waits */
static long long bulk_running;
static struct histogram waits = HISTOGRAM(histogram_times, HISTOGRAM_SECOND);
static struct histogram durations = HISTOGRAM(histogram_times, HISTOGRAM_SECOND);

static void on_done(void *arg, const PGresult *result);

/* Lists and histories, which may be long, accounts as their users see them, whom they block, who is
 * typing, and who has read what: nobody is kept out by waiting for these. */
static bool is_bulk(enum statement s)
{
    static const bool bulk_ones[STATEMENT_COUNT] = {
        [STATEMENT_USER_LIST] = true,         [STATEMENT_MESSAGE_HISTORY] = true,
        [STATEMENT_CONVERSATION_LIST] = true, [STATEMENT_CONVERSATION_HISTORY] = true,
        [STATEMENT_CONVERSATION_SHOW] = true, [STATEMENT_MEMBER_LIST] = true,
        [STATEMENT_USER_ME] = true,           [STATEMENT_USER_CHANGE] = true,
        [STATEMENT_USER_BLOCK] = true,        [STATEMENT_USER_BLOCKS] = true,
        [STATEMENT_MESSAGE_SHOW] = true,      [STATEMENT_TYPING_TELL] = true,
        [STATEMENT_RECEIPT_PUT] = true,       [STATEMENT_DIRECT_MAKE] = true,
        [STATEMENT_GROUP_MAKE] = true,        [STATEMENT_GROUP_CHANGE] = true,
        [STATEMENT_MEMBER_ADD] = true,        [STATEMENT_MEMBER_CHANGE] = true,
        [STATEMENT_MEMBER_REMOVE] = true,     [STATEMENT_RETENTION_STEP] = true,
    };
    return bulk_ones[s];
}

/* Not registering: nobody would know of the new account, and its name would be taken. */
static bool changes_account(enum statement s)
{
    return s == STATEMENT_USER_PASSWORD || s == STATEMENT_USER_REHASH ||
           s == STATEMENT_USER_LOGOUT || s == STATEMENT_USER_CHANGE || s == STATEMENT_USER_BLOCK;
}

static struct turns *turns_of(enum statement s)
{
    return is_bulk(s) ? &bulk : &urgent;
}

static void finish(struct job *job, const PGresult *result)
{
    buf_wipe(&job->params.bytes);
    job->done(job->arg, result);
    free(job);
}

/* The next one to run, whoever may have gone; NULL: none. */
static struct job *take_job(void)
{
    struct turn *turn = turns_take(&urgent);
    if (!turn && bulk_running < (member_count > 1 ? member_count - 1 : 1))
        turn = turns_take(&bulk);
    return (struct job *)turn;
}

static bool is_wanted(const struct job *job)
{
    return !job->peer || peer_find(job->peer) || changes_account(job->statement);
}

/* Microseconds since that time, which becomes now. */
static uint64_t since(int64_t *then)
{
    int64_t now = clock_us(), passed = now - *then;
    *then = now;
    return (uint64_t)passed;
}

static void give_work(struct member *m)
{
    struct job *job;
    while (db_ready(m->db) && (job = take_job())) {
        if (!is_wanted(job)) {
            finish(job, NULL);
            continue;
        }
        m->running = job;
        histogram_add(&waits, since(&job->since), 1);
        bulk_running += is_bulk(job->statement);
        db_run(m->db, job->statement, &job->params, on_done, m);
    }
}

static void connect_anew(struct member *m)
{
    m->stale = false;
    m->state = TRYING;
    loop_timer_stop(broker.loop, &m->retry);
    db_close(m->db);
    db_connect(m->db);
}

static void on_done(void *arg, const PGresult *result)
{
    struct member *m = arg;
    struct job *job = m->running;
    m->running = NULL;
    bulk_running -= is_bulk(job->statement);
    uint64_t took = since(&job->since);
    histogram_add(&durations, took, 1);
    turns_charge(turns_of(job->statement), job->key, (size_t)(took / 1000));
    finish(job, result);
    if (m->stale && result)
        connect_anew(m);
    else
        give_work(m);
}

static void on_member_up(void *arg)
{
    struct member *m = arg;
    m->state = CONNECTED;
    m->failed = m->stale = false;
    backoff_reset(&m->backoff);
    give_work(m);
}

static bool all_failed(void)
{
    for (long long i = 0; i < member_count; i++)
        if (!members[i].failed)
            return false;
    return true;
}

static void refuse_all(void)
{
    struct turn *turn;
    while ((turn = turns_take(&urgent)) || (turn = turns_take(&bulk)))
        finish((struct job *)turn, NULL);
}

static void on_member_down(void *arg)
{
    struct member *m = arg;
    m->state = AWAY;
    m->failed = true;
    if (link_host())
        loop_timer_set(broker.loop, &m->retry, backoff_failed(&m->backoff));
    if (all_failed())
        refuse_all();
}

static void on_retry(void *arg)
{
    connect_anew(arg);
}

static const struct db_owner member_owner = {on_member_up, on_member_down, NULL, link_refused};

void pool_init(void)
{
    turns_init(&urgent, SHARE_MS);
    turns_init(&bulk, SHARE_MS);
    member_count = broker.conf.db_readers;
    members = xcalloc((size_t)member_count, sizeof(*members));
    for (long long i = 0; i < member_count; i++) {
        struct member *m = &members[i];
        m->backoff = (struct backoff){.first = 100, .most = 10000};
        m->retry = (struct loop_timer){.call = on_retry, .arg = m};
        m->db = db_new(broker.loop, &broker.conf, "pool", DB_POOL, &member_owner, m);
    }
}

void pool_link_up(void)
{
    for (long long i = 0; i < member_count; i++) {
        members[i].stale = members[i].running;
        members[i].failed = false; /* says nothing of the server that the link has found */
        if (!members[i].running)
            connect_anew(&members[i]);
    }
}

void pool_link_lost(void)
{
    for (long long i = 0; i < member_count; i++)
        if (members[i].state == AWAY) {
            members[i].failed = true;
            loop_timer_stop(broker.loop, &members[i].retry);
        }
    if (all_failed())
        refuse_all();
}

void pool_run(const struct peer *p, enum statement statement, struct db_params *params,
              db_done *done, void *arg)
{
    uint64_t key = !p ? 0 : p->user ? (uint64_t)p->user : p->address;
    struct turns *turns = turns_of(statement);
    if (all_failed() || pool_waiting() >= QUEUE_MAX ||
        (p && p->user && turns_count(turns, key) >= QUEUE_EACH)) {
        buf_wipe(&params->bytes);
        done(arg, NULL);
        return;
    }
    struct job *job = xcalloc(1, sizeof(*job));
    *job = (struct job){.key = key,
                        .peer = p ? p->id : 0,
                        .statement = statement,
                        .params = *params,
                        .done = done,
                        .arg = arg,
                        .since = clock_us()};
    *params = (struct db_params){0};
    turns_add(turns, key, &job->turn, JOB_MS);
    for (long long i = 0; i < member_count && turns->count > 0; i++)
        give_work(&members[i]);
}

size_t pool_waiting(void)
{
    return urgent.count + bulk.count;
}

const struct histogram *pool_waits(void)
{
    return &waits;
}

void pool_expose(struct buf *out)
{
    exposition_begin(out, "chatd_read_seconds", EXPOSITION_HISTOGRAM,
                     "Time that a statement took on one of the connections that read.");
    histogram_put(&durations, out, "chatd_read_seconds", "");
}

void pool_free(void)
{
    for (long long i = 0; i < member_count; i++) {
        loop_timer_stop(broker.loop, &members[i].retry);
        db_free(members[i].db);
    }
    refuse_all();
    turns_free(&urgent);
    turns_free(&bulk);
    free(members);
}

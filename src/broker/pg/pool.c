/* The pool of database connections; see pool.h. */
#include "pool.h"

#include <stdlib.h>
#include <sys/queue.h>

#include "backoff.h"
#include "broker.h"
#include "link.h"
#include "log.h"

enum { QUEUE_MAX = 20000 };

struct job {
    STAILQ_ENTRY(job) next;
    enum statement statement;
    struct db_params params;
    db_done *done;
    void *arg;
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
static STAILQ_HEAD(, job) waiting = STAILQ_HEAD_INITIALIZER(waiting);
static size_t queued;

static void on_done(void *arg, const PGresult *result);

static struct job *take_job(void)
{
    struct job *job = STAILQ_FIRST(&waiting);
    STAILQ_REMOVE_HEAD(&waiting, next);
    queued--;
    return job;
}

static void give_work(struct member *m)
{
    if (STAILQ_EMPTY(&waiting) || !db_ready(m->db))
        return;
    struct job *job = take_job();
    m->running = job;
    db_run(m->db, job->statement, &job->params, on_done, m);
}

static void connect_anew(struct member *m)
{
    m->stale = false;
    m->state = TRYING;
    loop_timer_stop(broker.loop, &m->retry);
    db_close(m->db);
    db_connect(m->db);
}

static void finish(struct job *job, const PGresult *result)
{
    buf_wipe(&job->params.bytes);
    job->done(job->arg, result);
    free(job);
}

static void on_done(void *arg, const PGresult *result)
{
    struct member *m = arg;
    struct job *job = m->running;
    m->running = NULL;
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
    while (!STAILQ_EMPTY(&waiting))
        finish(take_job(), NULL);
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

void pool_run(enum statement statement, struct db_params *params, db_done *done, void *arg)
{
    if (all_failed() || queued >= QUEUE_MAX) {
        buf_wipe(&params->bytes);
        done(arg, NULL);
        return;
    }
    struct job *job = xcalloc(1, sizeof(*job));
    *job = (struct job){.statement = statement, .params = *params, .done = done, .arg = arg};
    *params = (struct db_params){0};
    STAILQ_INSERT_TAIL(&waiting, job, next);
    queued++;
    for (long long i = 0; i < member_count && !STAILQ_EMPTY(&waiting); i++)
        give_work(&members[i]);
}

void pool_free(void)
{
    for (long long i = 0; i < member_count; i++) {
        loop_timer_stop(broker.loop, &members[i].retry);
        db_free(members[i].db);
    }
    refuse_all();
    free(members);
}

/* Which hosts are alive; see hosts.h. */
#include "hosts.h"

#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "clock.h"
#include "link.h"
#include "log.h"
#include "map.h"

enum {
    GONE_MS = 2000,      /* a host whose connection ended may take this long to come back */
    SILENT = 3,          /* looks that must find the same beat before it counts as silence */
    ROWS_AT_ONCE = 1000, /* sessions of dead hosts: while they are removed, nobody stores */
};

/* Worst case until a silent host is dead: one beat, half the lease, one look: 0.9 of the lease. */
static int64_t beat_ms(void)
{
    return broker.conf.presence_lease / 5;
}

static int64_t silence_ms(void)
{
    return broker.conf.presence_lease / 2;
}

struct host {
    int64_t id;
    int64_t beat;     /* the last one that was seen */
    int64_t since;    /* clock_ms() when it was first seen */
    int seen;         /* how often it was seen */
    int64_t gone;     /* clock_ms() when its connection was first found gone; 0: it is there */
    unsigned looking; /* the last look that found it */
};

static struct map hosts; /* id -> struct host */
static unsigned looks;
static int64_t next_beat; /* clock_ms() */
static struct loop_timer timer;
static struct buf dead, dead_beats; /* int64_t ids and beats of hosts to remove */
static bool some_left;              /* of the sessions of hosts that were removed */

static void forget_all(void)
{
    struct host *h;
    for (size_t at = 0; (h = map_next(&hosts, &at));)
        free(h);
    map_free(&hosts);
    buf_free(&dead);
    buf_free(&dead_beats);
    some_left = false;
}

static void on_timer(void *arg)
{
    (void)arg; /* waking the loop is enough: schedule_turn() calls hosts_listen() */
}

void hosts_link_up(void)
{
    next_beat = 0;
    timer.call = on_timer;
}

void hosts_link_lost(void)
{
    loop_timer_stop(broker.loop, &timer);
    forget_all();
}

static void see(int64_t id, int64_t beat, bool gone, int64_t now)
{
    struct host *h = map_get(&hosts, (uint64_t)id);
    if (!h) {
        h = xcalloc(1, sizeof(*h));
        *h = (struct host){.id = id, .beat = beat, .since = now};
        map_put(&hosts, (uint64_t)id, h);
    }
    if (h->beat != beat) {
        h->beat = beat;
        h->since = now;
        h->seen = 0;
    }
    h->seen++;
    h->looking = looks;
    if (!gone)
        h->gone = 0;
    else if (!h->gone)
        h->gone = now;
}

static bool is_dead(const struct host *h, int64_t now)
{
    if (h->gone && now - h->gone >= GONE_MS)
        return true;
    return h->seen >= SILENT && now - h->since >= silence_ms();
}

/* Forgets hosts whose rows are gone, and lists the dead. */
static void judge_hosts(int64_t now)
{
    struct buf left = BUF_INIT;
    struct host *h;
    for (size_t at = 0; (h = map_next(&hosts, &at));) {
        if (h->looking != looks) {
            buf_append(&left, &h->id, sizeof(h->id));
        } else if (is_dead(h, now)) {
            buf_append(&dead, &h->id, sizeof(h->id));
            buf_append(&dead_beats, &h->beat, sizeof(h->beat));
        }
    }
    for (; buf_len(&left) > 0; buf_consume(&left, sizeof(int64_t))) {
        int64_t id;
        memcpy(&id, buf_head(&left), sizeof(id));
        free(map_remove(&hosts, (uint64_t)id));
    }
    buf_free(&left);
}

static void on_beat(void *arg, const PGresult *result)
{
    (void)arg;
    if (!link_ok(result, "the beat of this host"))
        return;
    int64_t now = clock_ms();
    looks++;
    for (int i = 0; i < PQntuples(result); i++)
        see(db_int(result, i, 0), db_int(result, i, 1), db_bool(result, i, 2), now);
    judge_hosts(now);
}

static void on_swept(void *arg, const PGresult *result)
{
    (void)arg;
    if (!link_ok(result, "removing dead hosts"))
        return;
    if (db_int(result, 0, 0) > 0)
        log_info("removed %lld dead hosts", (long long)db_int(result, 0, 0));
    some_left = db_bool(result, 0, 1);
}

bool hosts_sweep(struct db *listener)
{
    if (buf_len(&dead) == 0 && !some_left)
        return false;
    struct db_params p = {0};
    db_param_ids(&p, &dead);
    db_param_ids(&p, &dead_beats);
    db_param_int4(&p, ROWS_AT_ONCE);
    buf_free(&dead);
    buf_free(&dead_beats);
    some_left = false;
    db_run(listener, STATEMENT_HOST_SWEEP, &p, on_swept, NULL);
    return true;
}

bool hosts_listen(struct db *listener)
{
    int64_t now = clock_ms();
    if (now < next_beat)
        return false;
    next_beat = now + beat_ms();
    loop_timer_set(broker.loop, &timer, beat_ms());
    struct db_params p = {0};
    db_param_int8(&p, link_host());
    db_run(listener, STATEMENT_HOST_BEAT, &p, on_beat, NULL);
    return true;
}

void hosts_free(void)
{
    forget_all();
}

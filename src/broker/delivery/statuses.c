/* Presence; see statuses.h. */
#include "statuses.h"

#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "feed.h"
#include "link.h"
#include "log.h"
#include "map.h"
#include "status.h"

/* After an outage, other hosts get this long to register their sessions again. Only then are users
 * who were online, and are now unknown to the database, counted as gone. */
enum { GRACE_MS = 3000 };

/* Rows of presence in one statement. The dearest ones are told to each client of this host (mode
 * all), or look for each client among very many contacts (mode contacts). With thousands of clients
 * a page of those still stays far below the statement timeout. */
enum { ROWS_AT_ONCE = 50 };

/* The same of those that nobody is told of. */
enum { ONLINE_AT_ONCE = 1000 };

/* Users in one check, which holds up whoever writes. */
enum { CHECKED_AT_ONCE = 1000 };

/* A user who is online. */
struct person {
    int64_t user;
    unsigned epoch; /* number of the link that last confirmed this */
};

static struct map people; /* user id -> struct person */
static unsigned epoch;
static bool fresh = true; /* no reading has come to its end yet: others may be online, too */
static bool statuses_due;
static struct buf doubtful; /* int64_t ids of users to check in the database */

/* Numbers of presence changes. "told" stays while the link is up: changes up to it concern nobody
 * any more. Those after it are read in their order, and handed out; of those before it only who is
 * online is read, for what this host knows itself. */
static uint64_t known; /* people agrees with all rows up to here; 0 while fresh */
static uint64_t told;
static uint64_t abreast;   /* the position when there was nothing more to read */
static uint64_t position;  /* all from told to here were read */
static uint64_t confirmed; /* all up to here were read, up to told */

/* Since the link came up: */
static bool current;    /* all changes were read, once */
static bool confirming; /* until confirmed has come to told */
static bool waited;     /* the grace is over */
static struct loop_timer grace;

void statuses_wanted(void)
{
    statuses_due = true;
}

static void confirm(int64_t user)
{
    struct person *who = map_get(&people, (uint64_t)user);
    if (!who) {
        who = xcalloc(1, sizeof(*who));
        who->user = user;
        map_put(&people, (uint64_t)user, who);
    }
    who->epoch = epoch;
}

static void take_change(const struct status *s)
{
    bool online = map_get(&people, (uint64_t)s->user);
    bool news = fresh || s->online != online;
    /* Otherwise the user came and went, or went and came, since this host looked last. */
    feed_status(s, news ? NULL : &abreast);
    if (s->online)
        confirm(s->user);
    else
        free(map_remove(&people, (uint64_t)s->user));
}

static void take_row(const struct status *s)
{
    if (s->view)
        feed_status(s, NULL);
    else
        take_change(s);
    position = s->change;
    if (!fresh)
        known = position;
}

/* Once everything was read: lists who is online no more, though no row says so. */
static void doubt(void)
{
    if (!current || confirming)
        return;
    fresh = false;
    known = position;
    if (!waited)
        return;
    waited = false;
    struct person *who;
    for (size_t at = 0; (who = map_next(&people, &at));)
        if (who->epoch != epoch)
            buf_append(&doubtful, &who->user, sizeof(who->user));
}

static void on_read(void *arg, const PGresult *result)
{
    (void)arg;
    if (!link_ok(result, "reading presence"))
        return;
    int rows = PQntuples(result);
    for (int i = 0; i < rows; i++) {
        struct status s = status_from_row(result, i);
        take_row(&s);
    }
    if (rows == ROWS_AT_ONCE) {
        statuses_due = true;
    } else {
        current = true;
        abreast = position;
    }
    doubt();
}

static void read_changes(struct db *listener)
{
    statuses_due = false;
    struct db_params p = {0};
    db_param_int8(&p, link_host());
    db_param_int8(&p, (int64_t)position);
    db_param_int4(&p, ROWS_AT_ONCE);
    status_param_mode(&p);
    db_run(listener, STATEMENT_PRESENCE_READ, &p, on_read, NULL);
}

/* Somebody is online since a change that this host knows as something else: the database went back.
 * What it knows by number is worth nothing. */
static void compare_all(void)
{
    log_warn("presence went back: comparing all of it");
    known = told = position = 0;
    feed_presence_back();
    current = confirming = false;
    statuses_due = true;
}

static void on_confirmed(void *arg, const PGresult *result)
{
    (void)arg;
    if (!link_ok(result, "reading who is online"))
        return;
    int rows = PQntuples(result);
    for (int i = 0; i < rows; i++) {
        int64_t user = db_int(result, i, 1);
        if (!fresh && !map_get(&people, (uint64_t)user)) {
            compare_all();
            return;
        }
        confirm(user);
        confirmed = (uint64_t)db_int(result, i, 0);
    }
    confirming = rows == ONLINE_AT_ONCE;
    doubt();
}

static void read_online(struct db *listener)
{
    struct db_params p = {0};
    db_param_int8(&p, link_host());
    db_param_int8(&p, (int64_t)confirmed);
    db_param_int8(&p, (int64_t)told);
    db_param_int4(&p, ONLINE_AT_ONCE);
    db_run(listener, STATEMENT_PRESENCE_ONLINE, &p, on_confirmed, NULL);
}

bool statuses_read(struct db *listener)
{
    static bool turn;
    if (broker.conf.presence == CONF_PRESENCE_OFF || (!statuses_due && !confirming))
        return false;
    turn = !turn;
    if (statuses_due && (turn || !confirming))
        read_changes(listener);
    else
        read_online(listener);
    return true;
}

static void on_grace_over(void *arg)
{
    (void)arg;
    waited = true;
    doubt();
}

void statuses_attached(bool honoured, uint64_t last)
{
    static uint64_t first = UINT64_MAX; /* told, while fresh */
    if (!honoured || last < known)
        known = 0;
    if (last < abreast) {
        abreast = last;
        feed_presence_back();
    }
    if (last < first)
        first = last;
    /* A fresh host has told nobody of anything. But nobody has attached to it before this number:
     * whoever does catches up, or starts from a later one. */
    told = position = fresh ? first : known;
    confirmed = 0;
}

void statuses_link_up(void)
{
    epoch++;
    current = waited = false;
    confirming = told > 0;
    statuses_due = true;
    grace.call = on_grace_over;
    loop_timer_set(broker.loop, &grace, GRACE_MS);
}

void statuses_link_lost(void)
{
    loop_timer_stop(broker.loop, &grace);
    buf_free(&doubtful);
}

static void on_checked(void *arg, const PGresult *result)
{
    (void)arg;
    link_ok(result, "checking presence");
}

bool statuses_write(struct db *writer)
{
    if (buf_len(&doubtful) == 0)
        return false;
    struct db_params p = {0};
    db_param_some_ids(&p, &doubtful, CHECKED_AT_ONCE);
    db_run(writer, STATEMENT_PRESENCE_CHECK, &p, on_checked, NULL);
    return true;
}

void statuses_free(void)
{
    struct person *who;
    for (size_t at = 0; (who = map_next(&people, &at));)
        free(who);
    map_free(&people);
    buf_free(&doubtful);
}

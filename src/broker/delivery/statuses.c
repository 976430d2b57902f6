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

struct person {
    int64_t user;
    bool online;
    unsigned epoch; /* number of the link that last confirmed this */
};

static struct map people; /* user id -> struct person */
static uint64_t position; /* all changes up to here were read */
static unsigned epoch;
static bool statuses_due;
static struct buf doubtful; /* int64_t ids of users to check in the database */
static struct loop_timer grace;

void statuses_wanted(void)
{
    statuses_due = true;
}

static struct person *person(int64_t user)
{
    struct person *who = map_get(&people, (uint64_t)user);
    if (!who) {
        who = xcalloc(1, sizeof(*who));
        who->user = user;
        map_put(&people, (uint64_t)user, who);
    }
    return who;
}

static void take_row(const struct status *s)
{
    struct person *who = person(s->user);
    who->epoch = epoch;
    if (who->online != s->online)
        feed_status(s->change, s->user, s->to_all ? NULL : s->audience, s->audience_count, s->frame,
                    s->size);
    who->online = s->online;
    position = s->change;
}

static void on_read(void *arg, const PGresult *result)
{
    (void)arg;
    if (!link_ok(result, "reading presence"))
        return;
    for (int i = 0; i < PQntuples(result); i++) {
        struct status s = status_from_row(result, i);
        take_row(&s);
    }
}

bool statuses_read(struct db *listener)
{
    if (!statuses_due || broker.conf.presence == CONF_PRESENCE_OFF)
        return false;
    statuses_due = false;
    struct db_params p = {0};
    db_param_int8(&p, link_host());
    db_param_int8(&p, (int64_t)position);
    db_param_text(&p, status_mode(), strlen(status_mode()));
    db_run(listener, STATEMENT_PRESENCE_READ, &p, on_read, NULL);
    return true;
}

static void on_grace_over(void *arg)
{
    (void)arg;
    struct person *who;
    for (size_t at = 0; (who = map_next(&people, &at));)
        if (who->online && who->epoch != epoch)
            buf_append(&doubtful, &who->user, sizeof(who->user));
}

void statuses_link_up(void)
{
    epoch++;
    position = 0;
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
    db_param_ids(&p, &doubtful);
    buf_free(&doubtful);
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

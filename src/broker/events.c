/* Reading durable changes; see events.h. */
#include "events.h"

#include "answers.h"
#include "broker.h"
#include "feed.h"
#include "link.h"
#include "log.h"

enum { ROWS_AT_ONCE = 500 };

/* event_read() looks at no more than this many ids at once, so that each call is short even when
 * almost all changes concern other hosts. */
enum { WINDOW = 50000 };

static bool started;
static struct cursor position; /* all up to here was handed out */
static uint64_t asked;         /* where the reading under way began */
static uint64_t rung;          /* the highest id that a bell named */
static bool wanted;

struct cursor events_position(void)
{
    return position;
}

void events_start(struct cursor start)
{
    if (!started)
        position = start;
    started = true;
}

void events_restart(struct cursor to)
{
    position = to;
    rung = 0;
}

bool events_are_current(void)
{
    return started && rung <= position.change;
}

bool events_are_next(uint64_t change)
{
    return started && change <= position.change + 1;
}

void events_hand_out(const struct event *e)
{
    feed_event(e);
    if (e->cursor.change > position.change)
        position = e->cursor;
}

void events_rung(uint64_t id)
{
    if (id > rung)
        rung = id;
}

void events_wanted(void)
{
    wanted = true;
}

struct event event_from_row(const PGresult *result, int row)
{
    struct event e = {.cursor = db_cursor(result, row, 0)};
    if (db_is_null(result, row, 4))
        return e;
    e.user_count = db_int_array(result, row, 2, e.users, 2);
    if (e.user_count > 2)
        bug("a message to %zu users", e.user_count);
    e.origin = (uint64_t)db_int(result, row, 3);
    e.frame = db_text(result, row, 4, &e.size);
    return e;
}

static void on_events(void *arg, const PGresult *result)
{
    (void)arg;
    if (!link_ok(result, "reading changes"))
        return;
    int rows = PQntuples(result);
    for (int i = 0; i < rows; i++) {
        struct event e = event_from_row(result, i);
        events_hand_out(&e);
    }
    answers_release();
    if (rows >= ROWS_AT_ONCE || position.change - asked >= WINDOW)
        wanted = true;
}

bool events_read(struct db *listener)
{
    if (!started || (!wanted && rung <= position.change))
        return false;
    wanted = false;
    rung = 0; /* what rang is committed: a reading that starts now sees it, if it is there at all */
    asked = position.change;
    struct db_params p = {0};
    db_param_int8(&p, link_host());
    db_param_int8(&p, (int64_t)position.change);
    db_param_int4(&p, ROWS_AT_ONCE);
    db_run(listener, STATEMENT_EVENT_READ, &p, on_events, NULL);
    return true;
}

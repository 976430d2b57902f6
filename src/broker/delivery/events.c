/* Reading durable changes; see events.h. */
#include "events.h"

#include "answers.h"
#include "feed.h"
#include "link.h"
#include "position.h"

enum { ROWS_AT_ONCE = 500 };

/* The most ids that event_read() looks at in one call, so that calls stay short even when almost
 * all changes concern other hosts. */
enum { WINDOW = 50000 };

static uint64_t asked; /* where the present reading began */
static bool events_due;

void events_wanted(void)
{
    events_due = true;
}

static void on_events(void *arg, const PGresult *result)
{
    (void)arg;
    if (!link_ok(result, "reading changes"))
        return;
    bool whole;
    int rows = event_rows(result, &whole);
    for (int i = 0; i < rows + whole; i++) {
        struct event e = event_from_row(result, i);
        feed_hand_out(&e);
    }
    answers_release();
    bool more = rows > 0 && !whole;
    position_has_read(more);
    if (more || position().change - asked >= WINDOW)
        events_due = true;
}

bool events_read(struct db *listener)
{
    if (!position_is_started() || (!events_due && !position_is_behind()))
        return false;
    events_due = false;
    position_read();
    asked = position().change;
    struct db_params p = {0};
    db_param_int8(&p, link_host());
    db_param_int8(&p, (int64_t)asked);
    db_param_int4(&p, ROWS_AT_ONCE);
    db_run(listener, STATEMENT_EVENT_READ, &p, on_events, NULL);
    return true;
}

/* Session rows; see rows.h. */
#include "rows.h"

#include <string.h>

#include "broker.h"
#include "clock.h"
#include "link.h"
#include "position.h"

enum { ROWS_AT_ONCE = 1000 }; /* per statement */

/* Peers that need a row, in order. */
static struct peer *open_first, **open_last = &open_first;

static struct buf closes; /* uint64_t ids of peers whose rows are due for removal */

/* A peer that has gone, and when to remove its row; oldest first. */
struct leaver {
    uint64_t id;
    int64_t due; /* clock_ms() */
};
static struct buf leavers;
static struct loop_timer leaving;

static void (*report_opened)(struct peer *p, const struct row *row);

void rows_init(void (*opened)(struct peer *p, const struct row *row))
{
    report_opened = opened;
}

void rows_open(struct peer *p)
{
    p->feed.next_open = NULL;
    *open_last = p;
    open_last = &p->feed.next_open;
}

static void unqueue_open(struct peer *p)
{
    for (struct peer **at = &open_first; *at; at = &(*at)->feed.next_open) {
        if (*at != p)
            continue;
        *at = p->feed.next_open;
        if (open_last == &p->feed.next_open)
            open_last = at;
        return;
    }
}

static void on_leaving(void *arg)
{
    (void)arg;
    int64_t now = clock_ms();
    while (buf_len(&leavers) > 0) {
        struct leaver l;
        memcpy(&l, buf_head(&leavers), sizeof(l));
        if (l.due > now) {
            loop_timer_set(broker.loop, &leaving, l.due - now);
            break;
        }
        buf_append(&closes, &l.id, sizeof(l.id));
        buf_consume(&leavers, sizeof(l));
    }
}

static void leave(uint64_t id)
{
    struct leaver l = {id, clock_ms() + broker.conf.presence_debounce};
    buf_append(&leavers, &l, sizeof(l));
    leaving.call = on_leaving;
    if (!leaving.armed) /* even for a delay of 0: this round may be past schedule_turn() */
        loop_timer_set(broker.loop, &leaving, broker.conf.presence_debounce);
}

void rows_close(struct peer *p)
{
    unqueue_open(p);
    if (p->feed.row)
        leave(p->id);
    p->feed.row = false;
}

void rows_hurry(void)
{
    broker.conf.presence_debounce = 0;
    for (; buf_len(&leavers) > 0; buf_consume(&leavers, sizeof(struct leaver)))
        buf_append(&closes, buf_head(&leavers), sizeof(uint64_t)); /* the id comes first */
}

void rows_open_all(void)
{
    struct peer *p;
    open_first = NULL;
    open_last = &open_first;
    for (size_t at = 0; (p = peer_next(&at));) {
        p->feed.row = false;
        if (p->feed.state != FEED_OFF)
            rows_open(p);
    }
}

void rows_link_lost(void)
{
    /* The old host number is dead: other hosts sweep its rows. */
    buf_free(&closes);
    buf_free(&leavers);
    struct peer *p;
    for (size_t at = 0; (p = peer_next(&at));)
        p->feed.row = false;
}

static void on_opened(void *arg, const PGresult *result)
{
    (void)arg;
    if (!link_ok(result, "registering sessions"))
        return;
    for (int i = 0; i < PQntuples(result); i++) {
        struct row row = {.known = db_bool(result, i, 1),
                          .cursor = db_cursor(result, i, 2),
                          .presence = (uint64_t)db_int(result, i, 4),
                          .honoured = db_bool(result, i, 5),
                          .grouped = db_bool(result, i, 6)};
        uint64_t id = (uint64_t)db_int(result, i, 0);
        position_start(row.cursor);
        position_saw(row.cursor);
        struct peer *p = peer_find(id);
        if (p && p->feed.state != FEED_OFF)
            report_opened(p, &row);
        else
            leave(id); /* it left before its row was made */
    }
}

static void on_closed(void *arg, const PGresult *result)
{
    (void)arg;
    link_ok(result, "removing sessions");
}

/* The cursor that the client named, if it is this database's; otherwise one that no database
 * honours. */
static struct cursor named_cursor(const struct peer *p)
{
    struct cursor c;
    if (p->feed.named && cursor_parse(p->feed.named, strlen(p->feed.named), link_tag(), &c))
        return c;
    return (struct cursor){UINT64_MAX, 0}; /* -1 */
}

static void open_rows(struct db *writer)
{
    struct buf ids = BUF_INIT, owners = BUF_INIT, changes = BUF_INIT, stamps = BUF_INIT;
    size_t n = 0;
    for (; open_first && n < ROWS_AT_ONCE; n++) {
        struct peer *p = open_first;
        open_first = p->feed.next_open;
        struct cursor c = named_cursor(p);
        uint64_t stamp = c.stamp;
        buf_append(&ids, &p->id, sizeof(p->id));
        buf_append(&owners, &p->user, sizeof(p->user));
        buf_append(&changes, &c.change, sizeof(c.change));
        buf_append(&stamps, &stamp, sizeof(stamp));
    }
    if (!open_first)
        open_last = &open_first;
    struct buf *const columns[] = {&ids, &owners, &changes, &stamps};
    struct db_params params = {0};
    db_param_int8(&params, link_host());
    for (size_t i = 0; i < sizeof(columns) / sizeof(columns[0]); i++) {
        db_param_ids(&params, columns[i]);
        buf_free(columns[i]);
    }
    db_run(writer, STATEMENT_SESSION_OPEN, &params, on_opened, NULL);
}

static void close_rows(struct db *writer)
{
    struct db_params params = {0};
    db_param_int8(&params, link_host());
    db_param_some_ids(&params, &closes, ROWS_AT_ONCE);
    db_run(writer, STATEMENT_SESSION_CLOSE, &params, on_closed, NULL);
}

bool rows_has_work(void)
{
    return open_first || buf_len(&closes) > 0;
}

bool rows_write(struct db *writer)
{
    static bool turn;
    turn = !turn;
    if (open_first && (turn || buf_len(&closes) == 0))
        open_rows(writer);
    else if (buf_len(&closes) > 0)
        close_rows(writer);
    else
        return false;
    return true;
}

void rows_free(void)
{
    loop_timer_stop(broker.loop, &leaving);
    buf_free(&closes);
    buf_free(&leavers);
}

/* The turns of the broker's parts; see schedule.h. */
#include "schedule.h"

#include <stdio.h>

#include "answers.h"
#include "broker.h"
#include "deliveries.h"
#include "edits.h"
#include "events.h"
#include "feed.h"
#include "groups.h"
#include "hosts.h"
#include "link.h"
#include "outbox.h"
#include "pool.h"
#include "position.h"
#include "receipts.h"
#include "resume.h"
#include "retention.h"
#include "revocations.h"
#include "rows.h"
#include "sends.h"
#include "skew.h"
#include "status.h"
#include "statuses.h"
#include "typing.h"

/* How often to look for changes in case a doorbell was lost. */
enum { TICK_MS = 2000 };

/* Told in this order when the link comes up or is lost, and of each tick while it is up. NULL: not
 * told. */
static const struct part {
    void (*link_up)(void);
    void (*link_lost)(void);
    void (*tick)(void);
    void (*free)(void);
} parts[] = {
    {NULL, revocations_link_lost, revocations_wanted, revocations_free},
    {NULL, pool_link_lost, NULL, NULL},
    {NULL, rows_link_lost, NULL, rows_free},
    {NULL, feed_link_lost, feed_retry, feed_free},
    {NULL, NULL, events_wanted, NULL},
    {NULL, sends_link_lost, NULL, sends_free},
    {NULL, edits_link_lost, NULL, edits_free},
    {statuses_link_up, statuses_link_lost, statuses_wanted, statuses_free},
    {NULL, hosts_link_lost, NULL, hosts_free},
    {skew_link_up, NULL, skew_tick, NULL},
    {NULL, NULL, NULL, answers_free},
    {NULL, NULL, NULL, outbox_free},
    {NULL, NULL, NULL, status_free},
    {NULL, typing_link_lost, NULL, NULL},
    {NULL, receipts_link_lost, NULL, receipts_free},
    {retention_link_up, retention_link_lost, NULL, NULL},
};
enum { PARTS = sizeof(parts) / sizeof(parts[0]) };

static struct loop_timer tick_timer;

static void on_tick(void *arg)
{
    (void)arg;
    for (size_t i = 0; i < PARTS; i++)
        if (parts[i].tick)
            parts[i].tick();
    loop_timer_set(broker.loop, &tick_timer, TICK_MS);
}

static void on_attached(bool honoured, struct cursor now, uint64_t presence)
{
    pool_link_up();
    statuses_attached(honoured, presence);
    if (position_known().change && !honoured)
        resume_all(now);
    groups_attached();
    hosts_link_up();
    rows_open_all();
}

static void on_link_up(void)
{
    for (size_t i = 0; i < PARTS; i++)
        if (parts[i].link_up)
            parts[i].link_up();
    on_tick(NULL);
}

static void on_link_down(void)
{
    loop_timer_stop(broker.loop, &tick_timer);
    for (size_t i = 0; i < PARTS; i++)
        if (parts[i].link_lost)
            parts[i].link_lost();
}

static void ring(uint64_t change)
{
    position_rung(change);
    deliveries_learned(change);
}

/* "e 91": a change with this id was committed; "p 17": somebody came or went; "r": tokens became
 * void; "t 2 7 1 user1": somebody writes to a user here (typing.h); "w 2 7 1 90 91": user 1
 * has read conversation 7 up to 90, and got it up to 91, which user 2 here is to see (receipts.h).
 */
static void on_bell(const char *payload)
{
    unsigned long long number = 0;
    char kind = '\0';
    int fields = sscanf(payload, "%c %llu", &kind, &number);
    if (kind == 'e' && fields == 2)
        ring(number);
    else if (kind == 'p')
        statuses_wanted();
    else if (kind == 'r')
        revocations_wanted();
    else if (kind == 't')
        typing_rung(payload + 1);
    else if (kind == 'w')
        receipts_rung(payload + 1);
}

void schedule_init(int status_fd)
{
    static const struct link_owner owner = {on_attached, on_link_up, on_link_down, on_bell};
    tick_timer.call = on_tick;
    feed_init();
    rows_init(resume_opened);
    sends_init();
    receipts_init();
    edits_init();
    link_init(status_fd, &owner);
}

typedef bool (*starter)(struct db *);

/* Starts the first of these, after the last one that was started, that has something to do. In
 * turn, so that none starves another: each does so much at once, and may have more to go. */
static void start_next(struct db *db, const starter *kinds, size_t count, size_t *last)
{
    for (size_t i = 1; i <= count; i++) {
        size_t next = (*last + i) % count;
        if (kinds[next](db)) {
            *last = next;
            return;
        }
    }
}

static void next_write(struct db *writer)
{
    static const starter kinds[] = {sends_write, rows_write, statuses_write, edits_write};
    static size_t last;
    if (!link_is_up()) {
        if (rows_write(writer))
            return;
        link_set_up();
    }
    start_next(writer, kinds, sizeof(kinds) / sizeof(kinds[0]), &last);
}

static void next_read(struct db *listener)
{
    /* Beat as soon as other hosts can see this one; read the revoked tokens before serving. */
    if (hosts_listen(listener) || revocations_read(listener) || !link_is_up())
        return;
    static const starter kinds[] = {events_read, statuses_read, hosts_sweep};
    static size_t last;
    start_next(listener, kinds, sizeof(kinds) / sizeof(kinds[0]), &last);
}

void schedule_turn(void)
{
    struct db *writer = link_writer();
    if (writer)
        next_write(writer);
    struct db *listener = link_listener();
    if (listener)
        next_read(listener);
    typing_tell();
    receipts_store();
}

bool schedule_is_quiet(void)
{
    return !link_is_up() || (link_writer() && !rows_has_work() && !sends_has_work() &&
                             !edits_has_work() && !receipts_has_work());
}

void schedule_free(void)
{
    loop_timer_stop(broker.loop, &tick_timer);
    link_free();
    for (size_t i = 0; i < PARTS; i++)
        if (parts[i].free)
            parts[i].free();
}

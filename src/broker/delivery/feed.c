/* Deliveries to the sessions of this host; see feed.h. */
#include "feed.h"

#include <stdlib.h>
#include <string.h>

#include "answers.h"
#include "attached.h"
#include "broker.h"
#include "connections.h"
#include "deliveries.h"
#include "groups.h"
#include "link.h"
#include "log.h"
#include "outbox.h"
#include "pool.h"
#include "position.h"
#include "rows.h"

/* Read at once for a peer that catches up: changes may be long, statuses are short. */
enum { PAGE = 50, STATUS_PAGE = 500 };

static void catch_up(struct peer *p);

/* --- to attach --- */

void feed_attach(struct peer *p, uint32_t seq, struct text named, uint64_t presence)
{
    if (link_is_hopeless()) {
        connections_drop(p);
        peer_fail((struct asker){p->id, IPC_ATTACH, seq}, IPC_E_UNAVAILABLE);
        return;
    }
    p->feed.state = FEED_OPENING;
    p->feed.attach_seq = seq;
    free(p->feed.named);
    p->feed.named = named.n > 0 ? xstrndup(named.p, named.n) : NULL;
    p->feed.presence = presence;
    attached_add(p);
    rows_open(p);
}

void feed_detach(struct peer *p)
{
    if (p->feed.state == FEED_OFF)
        return;
    attached_remove(p);
    connections_drop(p);
    rows_close(p);
    buf_wipe(&p->feed.held);
    buf_free(&p->feed.answers);
    free(p->feed.named);
    p->feed = (struct feed){.dirty = p->feed.dirty, .round = p->feed.round};
}

/* --- queues --- */

static void put_event(struct buf *out, const struct event *e)
{
    size_t begin = ipc_begin(out, IPC_EVENT, 0);
    ipc_put_cursor(out, e->cursor);
    ipc_put_text(out, e->frame, e->size);
    ipc_end(out, begin);
}

static void put_status(struct buf *out, uint64_t change, const char *frame, size_t size)
{
    size_t begin = ipc_begin(out, IPC_STATUS, 0);
    ipc_put_u64(out, change);
    ipc_put_text(out, frame, size);
    ipc_end(out, begin);
}

static size_t queue_limit(void)
{
    return broker.conf.session_queue;
}

/* The peer catches up once its queue is empty. */
static void fall_behind(struct peer *p)
{
    p->feed.state = FEED_BEHIND;
    p->wants_drained = true;
}

void feed_link_lost(void)
{
    struct peer *p;
    for (size_t at = 0; link_is_hopeless() && (p = peer_next(&at));) {
        answers_void(p); /* else they might wait very long for their place */
        outbox_add(p);
        if (!p->feed.attach_seq)
            continue;
        uint32_t seq = p->feed.attach_seq;
        p->feed.attach_seq = 0;
        feed_detach(p);
        peer_fail((struct asker){p->id, IPC_ATTACH, seq}, IPC_E_UNAVAILABLE);
    }
}

static bool may_hold(struct peer *p)
{
    if (p->feed.state != FEED_OPENING && p->feed.state != FEED_CATCHING)
        return false;
    if (buf_len(&p->feed.held) > queue_limit()) {
        buf_free(&p->feed.held);
        p->feed.held_overflow = true;
    }
    return !p->feed.held_overflow;
}

/* False if the peer's queue is too long: it falls behind and is not fed any more. */
static bool may_feed(struct peer *p)
{
    if (p->feed.state == FEED_LIVE && ipc_channel_queued(&p->channel) > queue_limit())
        fall_behind(p);
    return p->feed.state == FEED_LIVE;
}

/* Skip the sending connection: it gets the acknowledgement. A frame without text was not asked for;
 * a peer that attached later starts past this change, or reads it, see attached_awaits(). */
static bool wants_frame(const struct peer *p, const struct event *e)
{
    return e->size > 0 && (!e->origin || e->origin != p->origin);
}

static void give_event(struct peer *p, const struct event *e)
{
    if (may_hold(p)) {
        if (wants_frame(p, e))
            put_event(&p->feed.held, e);
    } else if (may_feed(p) && e->cursor.change > p->feed.cursor.change) {
        answers_put(p, e->cursor.change - 1);
        p->feed.cursor = e->cursor;
        if (!wants_frame(p, e))
            return;
        put_event(&p->channel.out, e);
        outbox_add(p);
        deliveries_given();
    }
}

static void give_user(int64_t user, const struct event *e)
{
    for (struct peer *p = attached_first(user); p; p = p->feed.same_user)
        give_event(p, e);
}

static void give_group(const struct event *e)
{
    const struct group_member *members;
    size_t n = groups_members(e->group, &members);
    for (size_t i = 0; i < n; i++)
        if (members[i].since <= e->subject && members[i].joined <= e->cursor.change)
            give_user(members[i].user, e);
}

void feed_hand_out(const struct event *e)
{
    groups_before(e);
    if (e->group)
        give_group(e);
    for (size_t i = 0; i < e->user_count; i++)
        give_user(e->users[i], e);
    groups_after(e);
    position_advance(e->cursor);
    deliveries_handed_out();
}

/* What a peer without its place yet will have learned from the database is not known: it is told.
 */
static void give_status(struct peer *p, const struct status *s, const uint64_t *after)
{
    if (may_hold(p)) {
        put_status(&p->feed.held, s->change, s->frame, s->size);
    } else if (may_feed(p) && s->change > p->feed.presence) {
        p->feed.presence = s->change;
        if (after && p->feed.listed <= *after)
            return;
        put_status(&p->channel.out, s->change, s->frame, s->size);
        outbox_add(p);
    }
}

void feed_presence_back(void)
{
    struct peer *p;
    for (size_t at = 0; (p = attached_next(&at));)
        for (; p; p = p->feed.same_user)
            if (p->feed.state != FEED_OPENING) /* its row will tell (resume.c) */
                p->feed.presence = p->feed.listed = 0;
}

/* To a user's peers, from the first one on. */
static void give_user_status(struct peer *p, const struct status *s, const uint64_t *after)
{
    bool concerned = p && status_concerns(s, p->user);
    for (; concerned && p; p = p->feed.same_user)
        give_status(p, s, after);
}

void feed_status(const struct status *s, const uint64_t *after)
{
    struct peer *p;
    for (size_t at = 0; s->to_all && (p = attached_next(&at));)
        give_user_status(p, s, after);
    for (size_t i = 0; !s->to_all && i < s->audience.count; i++)
        give_user_status(attached_first(s->audience.ids[i]), s, after);
}

/* It is never held, nor does it make a queue longer: later it would be wrong. */
static void give_ephemeral(struct peer *p, struct text frame)
{
    if (p->feed.state != FEED_LIVE || ipc_channel_lags(&p->channel))
        return;
    size_t begin = ipc_begin(&p->channel.out, IPC_EPHEMERAL, 0);
    ipc_put_text(&p->channel.out, frame.p, frame.n);
    ipc_end(&p->channel.out, begin);
    outbox_add(p);
}

void feed_ephemeral(int64_t receiver, struct text frame)
{
    for (struct peer *p = attached_first(receiver); p; p = p->feed.same_user)
        give_ephemeral(p, frame);
}

/* --- from held, or behind, to live --- */

/* Queues the held messages that are newer than what the peer has. */
static void release_held(struct peer *p)
{
    struct ipc_message m;
    long n;
    while (buf_len(&p->feed.held) > 0 &&
           (n = ipc_take(buf_head(&p->feed.held), buf_len(&p->feed.held), IPC_BY_BROKER, &m)) > 0) {
        struct ipc_reader r = ipc_read(&m);
        if (m.type == IPC_EVENT) {
            struct cursor at = ipc_get_cursor(&r);
            if (at.change > p->feed.cursor.change) {
                answers_put(p, at.change - 1);
                p->feed.cursor = at;
                buf_append(&p->channel.out, buf_head(&p->feed.held), (size_t)n);
            }
        } else {
            uint64_t at = ipc_get_u64(&r);
            if (at > p->feed.presence) {
                p->feed.presence = at;
                buf_append(&p->channel.out, buf_head(&p->feed.held), (size_t)n);
            }
        }
        buf_consume(&p->feed.held, (size_t)n);
    }
}

void feed_put_resumed(struct peer *p)
{
    if (!p->feed.resumed.due)
        return;
    struct buf *out = &p->channel.out;
    if (p->feed.resumed.seq)
        peer_answering((struct asker){p->id, IPC_RESUME, p->feed.resumed.seq});
    size_t begin = ipc_begin(out, IPC_RESUMED, p->feed.resumed.seq);
    ipc_put_u8(out, p->feed.resumed.recovered);
    ipc_put_u64(out, p->feed.resumed.from);
    ipc_put_cursor(out, p->feed.cursor);
    ipc_end(out, begin);
    p->feed.resumed = (struct resumed){0};
}

/* The peer has everything up to its cursor. */
static void go_live(struct peer *p)
{
    if (p->feed.held_overflow) {
        catch_up(p);
    } else {
        answers_put(p, p->feed.cursor.change);
        feed_put_resumed(p);
        release_held(p);
        p->feed.state = FEED_LIVE;
        answers_put(p, position().change);
        outbox_add(p);
    }
}

void feed_start_over(struct peer *p)
{
    p->feed.round++;
    p->feed.placed = false;
    p->feed.held_overflow = false;
    buf_free(&p->feed.held);
    fall_behind(p);
    peer_flush(p);
}

struct catching {
    uint64_t peer;
    uint32_t round;
    struct cursor upto;
};

/* The peer that this catch-up result is for; NULL if it no longer wants it. */
static struct peer *still_catching(struct catching *c, const PGresult *result)
{
    struct peer *p = peer_find(c->peer);
    if (!p || p->feed.state != FEED_CATCHING || p->feed.round != c->round)
        return NULL;
    if (db_ok(result))
        return p;
    p->feed.state = FEED_BEHIND; /* feed_retry() tries again */
    peer_flush(p);
    return NULL;
}

static void on_missed_statuses(void *arg, const PGresult *result)
{
    struct catching *c = arg;
    struct peer *p = still_catching(c, result);
    free(c);
    if (!p)
        return;
    int rows = PQntuples(result), taken = 0;
    while (taken < rows && ipc_channel_queued(&p->channel) <= queue_limit()) {
        struct status s = status_from_row(result, taken++);
        if (status_concerns(&s, p->user))
            put_status(&p->channel.out, s.change, s.frame, s.size);
        p->feed.presence = p->feed.listed = s.change;
    }
    if (rows < STATUS_PAGE && taken == rows) {
        go_live(p);
    } else {
        fall_behind(p); /* goes on when this is read */
        peer_flush(p);
    }
}

static void on_missed_events(void *arg, const PGresult *result)
{
    struct catching *c = arg;
    struct peer *p = still_catching(c, result);
    if (!p) {
        free(c);
        return;
    }
    bool whole;
    int rows = event_rows(result, &whole), taken = 0;
    while (taken < rows && ipc_channel_queued(&p->channel) <= queue_limit()) {
        struct event e = event_from_row(result, taken++);
        answers_put(p, e.cursor.change - 1);
        if (wants_frame(p, &e))
            put_event(&p->channel.out, &e);
        p->feed.cursor = e.cursor;
    }
    if (!whole || taken < rows || !link_is_up()) {
        free(c);
        fall_behind(p); /* goes on when this is read */
        peer_flush(p);
        return;
    }
    if (c->upto.change > p->feed.cursor.change)
        p->feed.cursor = c->upto;
    struct db_params params = {0};
    db_param_int8(&params, p->user);
    db_param_int8(&params, (int64_t)p->feed.presence);
    db_param_int4(&params, STATUS_PAGE);
    status_param_mode(&params);
    pool_run(p, STATEMENT_PRESENCE_READ_USER, &params, on_missed_statuses, c);
}

/* Reads what the peer missed. Changes handed out from now on are held, so reading up to the host's
 * position is enough; but a reading under way may not have seen the peer's row, so it reads at
 * least up to the change at which the row was made. */
static void catch_up(struct peer *p)
{
    if (!groups_known(p->user)) {
        p->feed.state = FEED_BEHIND; /* on_groups() goes on */
        return;
    }
    struct cursor upto = position();
    if (p->feed.opened.change > upto.change)
        upto = p->feed.opened;
    p->feed.state = FEED_CATCHING;
    p->feed.held_overflow = false;
    struct catching *c = xcalloc(1, sizeof(*c));
    *c = (struct catching){p->id, ++p->feed.round, upto};
    struct db_params params = {0};
    db_param_int8(&params, p->user);
    db_param_int8(&params, (int64_t)p->feed.cursor.change);
    db_param_int8(&params, (int64_t)upto.change);
    db_param_int4(&params, PAGE);
    pool_run(p, STATEMENT_EVENT_READ_USER, &params, on_missed_events, c);
}

static void begin(struct peer *p, bool missed)
{
    if (missed)
        catch_up(p);
    else
        go_live(p);
}

void feed_begin(struct peer *p, bool missed, bool grouped)
{
    if (groups_opened(p->user, grouped)) {
        begin(p, missed);
    } else {
        p->feed.placed = true;
        p->feed.missed = missed;
    }
}

/* The groups of the user are known. What was handed out to them before was not held. */
static void on_groups(int64_t user)
{
    struct peer *next;
    for (struct peer *p = attached_first(user); p; p = next) {
        next = p->feed.same_user; /* this one may end */
        bool waits = p->feed.placed;
        p->feed.placed = false;
        if (waits)
            begin(p, p->feed.missed || position().change > p->feed.opened.change);
        else
            feed_drained(p);
    }
}

void feed_init(void)
{
    groups_init(on_groups);
}

void feed_drained(struct peer *p)
{
    if (p->feed.state == FEED_BEHIND && ipc_channel_queued(&p->channel) == 0 && link_is_up())
        catch_up(p);
}

void feed_retry(void)
{
    groups_retry();
    struct peer *p;
    for (size_t at = 0; (p = peer_next(&at));)
        feed_drained(p);
}

void feed_free(void)
{
    attached_free();
    groups_free();
}

/* A client that is online; see live.h. */
#include "live.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "clock.h"
#include "live_link.h"
#include "live_put.h"
#include "log.h"
#include "signin.h"

enum {
    OUT_HIGH = 64 * 1024, /* above this the broker is not read, and notices by its queue */
};

/* --- to the client --- */

static bool client_has_room(const struct live *l)
{
    return buf_len(&l->client->out) < OUT_HIGH;
}

static bool has_channel(const struct live *l)
{
    return l->channel >= CHANNEL_AUTH;
}

/* The answer to AUTH is needed even while the client does not read: the token may be void. */
static bool may_hear_broker(const struct live *l)
{
    return client_has_room(l) || l->channel == CHANNEL_AUTH;
}

/* --- from the broker --- */

/* Takes the message that this answers; NULL if it was given up, and the client told. */
static struct pending_item *take_answered(struct live *l, uint32_t seq)
{
    if (l->posted > 0)
        l->posted--;
    return pending_take(&l->pending, seq);
}

static void take_sent(struct live *l, const struct ipc_message *m)
{
    struct ipc_reader r = ipc_read(m);
    uint64_t message = ipc_get_u64(&r);
    bool duplicate = ipc_get_u8(&r) != 0;
    struct text cursor = ipc_get_text(&r, IPC_MAX_CURSOR);
    struct pending_item *item = take_answered(l, m->seq);
    if (item && item->has_id && ipc_read_end(&r)) {
        struct buf json = BUF_INIT;
        chat_put_ack(&json, pending_id(item), message, cursor,
                     item->type == CHAT_MESSAGE ? &duplicate : NULL);
        live_put_json(l, &json);
    }
    free(item);
}

/* Only receipts are answered so, and the client hears of those that failed. */
static void take_reply(struct live *l, const struct ipc_message *m)
{
    free(take_answered(l, m->seq));
}

static void end_resume(struct live *l)
{
    l->resuming = false;
    l->resume_seq = 0;
    l->replayed = 0;
    buf_free(&l->resume_cursor);
    buf_free(&l->resume_id);
}

/* The broker no longer lets this client in. */
static void end_refused(struct live *l, enum ipc_error error)
{
    if (error == IPC_E_DISABLED)
        live_goodbye(l, 4403, "account disabled");
    else
        live_goodbye(l, 4401, "token not valid any more");
}

/* Does this answer the AUTH that renews the token? */
static bool is_renewal(const struct live *l, const struct ipc_message *m)
{
    return l->channel == CHANNEL_READY && buf_len(&l->new_token) > 0 && m->seq == l->renew_seq;
}

static void fail_step(struct live *l, enum ipc_error error)
{
    if (l->sign_in_by)
        signin_refused(l, error);
    else if (ipc_failure(error)->temporary)
        live_link_lose(l);
    else
        end_refused(l, error);
}

static void take_failed(struct live *l, const struct ipc_message *m)
{
    struct ipc_reader r = ipc_read(m);
    enum ipc_error error = (enum ipc_error)ipc_get_u32(&r);
    if (l->channel != CHANNEL_READY && m->seq == l->step_seq) {
        fail_step(l, error);
        return;
    }
    if (is_renewal(l, m)) {
        signin_kept(l, error);
        return;
    }
    if (l->resuming && m->seq == l->resume_seq) {
        live_put_failure(l, buf_text(&l->resume_id), error);
        end_resume(l);
        return;
    }
    struct pending_item *item = take_answered(l, m->seq);
    if (item)
        live_put_failure(l, pending_id(item), error);
    free(item);
}

/* Does the client need this change? Yes if it is new, or if a resume asked for it and has not
 * brought it yet. */
static bool is_wanted(struct live *l, struct cursor at)
{
    if (at.change > l->ask->cursor.change) {
        l->ask->cursor = at;
        return true;
    }
    if (!l->resuming || at.change <= l->replayed || at.change > l->since)
        return false;
    l->replayed = at.change;
    return true;
}

static void take_event(struct live *l, const struct ipc_message *m)
{
    struct ipc_reader r = ipc_read(m);
    struct cursor at = ipc_get_cursor(&r);
    struct text frame = ipc_get_text(&r, IPC_MAX_FRAME);
    if (ipc_read_end(&r) && is_wanted(l, at))
        live_put_frame(l, frame.p, frame.n, &at);
}

static void take_status(struct live *l, const struct ipc_message *m)
{
    struct ipc_reader r = ipc_read(m);
    uint64_t at = ipc_get_u64(&r);
    struct text frame = ipc_get_text(&r, IPC_MAX_FRAME);
    if (!ipc_read_end(&r))
        return;
    l->ask->presence = at;
    live_put_frame(l, frame.p, frame.n, NULL);
}

/* To a client that waits for what it missed, or reads too slowly, it would come too late. */
static void take_ephemeral(struct live *l, const struct ipc_message *m)
{
    struct ipc_reader r = ipc_read(m);
    struct text frame = ipc_get_text(&r, IPC_MAX_EPHEMERAL);
    if (ipc_read_end(&r) && !l->resuming && !client_lags(l->client))
        live_put_frame(l, frame.p, frame.n, NULL);
}

/* Tells the client if it waits for this, and unasked if it may have missed changes. */
static void take_resumed(struct live *l, const struct ipc_message *m)
{
    struct ipc_reader r = ipc_read(m);
    bool recovered = ipc_get_u8(&r) != 0;
    uint64_t from = ipc_get_u64(&r);
    struct cursor now = ipc_get_cursor(&r);
    if (!ipc_read_end(&r))
        return;
    bool asked = l->resuming && m->seq == l->resume_seq;
    if (!recovered && !asked) { /* a gap lies between what it has and what comes now */
        l->ask->cursor = now;
        l->since = now.change;
    } else if (now.change > l->ask->cursor.change) {
        l->ask->cursor = now;
    }
    if (asked && recovered && from < l->since)
        l->since = from;
    if (asked || l->told_when_live || !recovered)
        live_put_resumed(l, asked ? &l->resume_id : &(struct buf)BUF_INIT, recovered);
    l->told_when_live = false;
    if (asked)
        end_resume(l);
}

/* Until the channel is ready only the answer to its last step is taken: AUTHED, ATTACHED or FAILED.
 */
static bool is_expected(const struct live *l, const struct ipc_message *m)
{
    bool answer = m->seq == l->step_seq;
    switch (m->type) {
    case IPC_AUTHED:
        return (l->channel == CHANNEL_AUTH && answer) || is_renewal(l, m);
    case IPC_ATTACHED:
        return l->channel == CHANNEL_ATTACH && answer;
    case IPC_FAILED:
        return l->channel == CHANNEL_READY || answer;
    case IPC_SENT:
    case IPC_REPLY:
    case IPC_EVENT:
    case IPC_STATUS:
    case IPC_EPHEMERAL:
    case IPC_RESUMED:
    case IPC_KICK:
        return l->channel == CHANNEL_READY;
    default:
        return false;
    }
}

static void take_authed(struct live *l, const struct ipc_message *m)
{
    if (is_renewal(l, m))
        signin_renewed(l, m);
    else if (ask_take_authed(l->ask, m))
        live_link_attach(l);
    else
        live_link_lose(l);
}

static void take_attached(struct live *l, const struct ipc_message *m)
{
    if (!ask_take_attached(l->ask, m)) {
        live_link_lose(l);
        return;
    }
    if (l->sign_in_by)
        signin_attached(l);
    live_link_ready(l);
}

static void take_message(struct live *l, const struct ipc_message *m)
{
    switch (m->type) {
    case IPC_SENT:
        take_sent(l, m);
        break;
    case IPC_REPLY:
        take_reply(l, m);
        break;
    case IPC_FAILED:
        take_failed(l, m);
        break;
    case IPC_EVENT:
        take_event(l, m);
        break;
    case IPC_STATUS:
        take_status(l, m);
        break;
    case IPC_EPHEMERAL:
        take_ephemeral(l, m);
        break;
    case IPC_RESUMED:
        take_resumed(l, m);
        break;
    case IPC_AUTHED:
        take_authed(l, m);
        break;
    case IPC_KICK:
        live_goodbye(l, 4000, "closed by the operator");
        break;
    default:
        take_attached(l, m);
    }
}

static void take_messages(struct live *l)
{
    struct ipc_message m;
    int got = 1;
    while (has_channel(l) && may_hear_broker(l) &&
           (got = ipc_channel_next(&l->ask->channel, &m)) > 0) {
        if (is_expected(l, &m))
            take_message(l, &m);
        else
            log_error("the broker sent %s, which nothing asked for", ipc_rule(m.type)->name);
    }
    if (got < 0)
        live_link_lose(l);
    l->broker_waits = got > 0 && has_channel(l);
}

/* --- from the client --- */

bool live_may_send(const struct live *l)
{
    return (!l->sign_in_by || l->channel == CHANNEL_NONE) && pending_room(&l->pending) &&
           l->posted < IPC_MAX_SENDS && client_has_room(l);
}

void live_send(struct live *l, const struct chat_frame *f)
{
    struct pending_item *item = pending_add(&l->pending, f, clock_ms() + l->conf->request_timeout);
    if (l->channel == CHANNEL_READY)
        live_link_post(l, item);
}

void live_typing(struct live *l, const struct chat_frame *f)
{
    if (l->channel == CHANNEL_READY && !ipc_channel_lags(&l->ask->channel))
        live_link_typing(l, f);
}

void live_resume(struct live *l, const struct chat_frame *f)
{
    if (l->resuming) {
        live_put_error(l, f->id, "bad_state", false,
                       "A resume is under way; wait for its \"resumed\"");
        return;
    }
    l->resuming = true;
    buf_append(&l->resume_id, f->id.p, f->id.n);
    if (f->cursor.n <= IPC_MAX_CURSOR)
        buf_append(&l->resume_cursor, f->cursor.p, f->cursor.n);
    else
        buf_puts(&l->resume_cursor, "?"); /* no cursor of ours is so long: not honoured */
    if (l->channel == CHANNEL_READY)
        live_link_resume(l);
}

static void read_client(struct live *l)
{
    long n = client_receive(l->client);
    if (n > 0)
        l->heard_at = clock_ms();
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        l->gone = true;
}

/* --- time --- */

static int64_t min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

static void give_up_old_messages(struct live *l, int64_t now)
{
    while (l->pending.first && l->pending.first->deadline <= now) {
        struct pending_item *item = pending_take(&l->pending, l->pending.first->seq);
        live_put_failure(l, pending_id(item), IPC_E_UNAVAILABLE);
        free(item);
    }
}

/* When the client's token expires; until it is online, the deadline for that. */
static int64_t token_ends(const struct live *l, int64_t now)
{
    int64_t wall = (int64_t)time(NULL);
    if (l->sign_in_by)
        return l->sign_in_by;
    if (l->ask->expires <= wall)
        return now;
    /* A token may expire in the far future: do not overflow. */
    return now + min(l->ask->expires - wall, INT32_MAX) * 1000;
}

/* Does what is due by the clock; returns when something is due next. */
static int64_t check_clock(struct live *l)
{
    int64_t now = clock_ms();
    if (client_stop)
        live_goodbye(l, 1012, "service restart");
    signin_check_clock(l, now);
    if (token_ends(l, now) <= now)
        live_goodbye(l, 4401, "token expired");
    if (l->close_by && now >= l->close_by)
        l->gone = true;
    if (l->channel == CHANNEL_AWAY && now >= l->reconnect_at)
        live_link_prove(l);
    give_up_old_messages(l, now);
    int64_t next = l->kind->tick(l, now);
    next = min(next, l->close_by ? l->close_by : token_ends(l, now));
    if (l->pending.first)
        next = min(next, l->pending.first->deadline);
    return next;
}

/* --- the loop --- */

static void wait_and_read(struct live *l, int64_t deadline)
{
    struct ipc_channel *channel = &l->ask->channel;
    struct pollfd fds[2] = {{.fd = l->client->fd}, {.fd = channel->fd}};
    fds[0].events = client_events(l->client, live_may_send(l));
    if (may_hear_broker(l))
        fds[1].events |= POLLIN;
    if (ipc_channel_queued(channel) > 0)
        fds[1].events |= POLLOUT;
    if ((l->input_waits && live_may_send(l)) || (l->broker_waits && may_hear_broker(l)))
        deadline = 0;
    deadline = min(deadline, client_write_deadline(l->client));
    if (client_poll(fds, channel->fd >= 0 ? 2 : 1, deadline) < 0)
        return;
    if (client_readable(l->client, fds[0].revents))
        read_client(l);
    if (channel->fd >= 0 && (fds[1].revents & (POLLIN | POLLHUP | POLLERR)) &&
        ipc_channel_fill(channel) < 0)
        live_link_lose(l);
}

void live_init(struct live *l, const struct live_kind *kind, struct client *c, struct ask *a,
               const struct next *next)
{
    *l = (struct live){.kind = kind,
                       .conf = c->conf,
                       .client = c,
                       .ask = a,
                       .next = next,
                       .channel = CHANNEL_READY,
                       .backoff = {.first = 20, .most = 2000},
                       .since = a->cursor.change,
                       .told_when_live = next->start == FROM_CURSOR,
                       .heard_at = clock_ms()};
    buf_append(&l->token, buf_head(&a->token), buf_len(&a->token));
    if (next->unproven)
        signin_begin(l);
    else if (next->start == FROM_NOW_TOLD)
        live_put_resumed(l, &(struct buf)BUF_INIT, true);
}

void live_run(struct live *l)
{
    /* Client and broker may have sent something already: look before the first wait. */
    for (;;) {
        l->kind->input(l);
        take_messages(l);
        int64_t next = check_clock(l);
        if (has_channel(l) && ipc_channel_flush(&l->ask->channel) < 0)
            live_link_lose(l);
        int written = client_write(l->client);
        if (written < 0 || (written > 0 && l->last_word))
            l->gone = true;
        if (l->gone)
            break;
        wait_and_read(l, l->channel == CHANNEL_AWAY ? min(next, l->reconnect_at) : next);
    }
    client_linger(l->client);
    end_resume(l);
    pending_free(&l->pending);
    signin_free(l);
    buf_wipe(&l->token);
}

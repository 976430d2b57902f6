/*
 * The WebSocket loop; see chat.h.
 *
 * Two descriptors, one poll: what the client sends becomes requests, what the broker sends becomes
 * frames. When the broker's channel breaks it is built up again, step by step and without making
 * the client wait: connect, AUTH, ATTACH from the last cursor, then the messages without answer.
 */
#include "chat.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "backoff.h"
#include "clock.h"
#include "log.h"
#include "pending.h"
#include "ws.h"

enum {
    OUT_HIGH = 64 * 1024, /* above this the broker is not read, so that its queue fills up */
    MAX_SKIP_TIMES = 16,  /* a message this many times too large ends the connection */
    CLOSE_WAIT_MS = 2000, /* for the client's answer to our close frame */
};

enum channel_state { CHANNEL_AWAY, CHANNEL_AUTH, CHANNEL_ATTACH, CHANNEL_READY };

struct chat {
    const struct conf *conf;
    struct client *client;
    struct ask *ask;
    struct ws_reader reader;
    struct pending pending;

    enum channel_state channel;
    struct backoff backoff;
    int64_t reconnect_at; /* CHANNEL_AWAY: the next attempt */
    uint32_t step_seq;    /* CHANNEL_AUTH, CHANNEL_ATTACH: the request that it waits for */
    unsigned posted;      /* messages that the broker has not answered */
    struct buf token;     /* to prove the client to the next broker */

    int64_t heard_at;  /* clock_ms() of the client's last bytes */
    int64_t pinged_at; /* of our ping that waits for them; 0: none */
    int64_t close_by;  /* we, or the client, have said goodbye: exit then; 0: not yet */
    bool client_waits; /* there is input of the client that was not looked at yet */
    bool broker_waits; /* and of the broker */
    bool gone;
};

/* --- to the client --- */

static bool client_has_room(const struct chat *t)
{
    return buf_len(&t->client->out) < OUT_HIGH;
}

static void say_goodbye(struct chat *t, int code, const char *reason)
{
    if (t->close_by)
        return;
    ws_put_close(&t->client->out, code, reason);
    t->close_by = clock_ms() + CLOSE_WAIT_MS;
}

static void send_text(struct chat *t, const void *p, size_t n)
{
    if (!t->close_by)
        ws_put_frame(&t->client->out, WS_OP_TEXT, p, n);
}

static void send_json(struct chat *t, struct buf *json)
{
    send_text(t, buf_head(json), buf_len(json));
    buf_free(json);
}

static void send_error(struct chat *t, const char *id, size_t id_size, const char *code,
                       bool temporary, const char *text)
{
    struct buf json = BUF_INIT;
    chat_put_error(&json, id, id_size, code, temporary, text);
    send_json(t, &json);
}

static void send_failure(struct chat *t, const struct pending_item *item, enum ipc_error error)
{
    const struct ipc_failure *f = ipc_failure(error);
    send_error(t, item->has_id ? item->text : NULL, item->id_size, f->code, f->temporary, f->text);
}

/* --- the channel --- */

static void lose_channel(struct chat *t)
{
    if (t->channel == CHANNEL_READY)
        log_info("the broker is away; reconnecting");
    ask_close(t->ask);
    t->posted = 0;
    t->channel = CHANNEL_AWAY;
    t->reconnect_at = clock_ms() + backoff_failed(&t->backoff);
}

static void post(struct chat *t, struct pending_item *item)
{
    struct buf *out = &t->ask->channel.out;
    size_t begin = ask_begin(t->ask, IPC_SEND);
    item->seq = t->ask->seq;
    t->posted++;
    ipc_put_u64(out, (uint64_t)item->receiver);
    ipc_put_text(out, item->text, item->id_size);
    ipc_put_text(out, item->text + item->id_size, item->content_size);
    ipc_end(out, begin);
}

static void start_auth(struct chat *t)
{
    if (!ask_connect(t->ask)) {
        lose_channel(t);
        return;
    }
    struct buf *out = &t->ask->channel.out;
    size_t begin = ask_begin(t->ask, IPC_AUTH);
    ipc_put_text(out, (const char *)buf_head(&t->token), buf_len(&t->token));
    ipc_end(out, begin);
    t->step_seq = t->ask->seq;
    t->channel = CHANNEL_AUTH;
}

static void start_attach(struct chat *t)
{
    struct buf *out = &t->ask->channel.out;
    size_t begin = ask_begin(t->ask, IPC_ATTACH);
    ipc_put_u8(out, 1);
    ipc_put_u64(out, t->ask->cursor);
    ipc_put_u64(out, t->ask->presence);
    ipc_end(out, begin);
    t->step_seq = t->ask->seq;
    t->channel = CHANNEL_ATTACH;
}

static void channel_ready(struct chat *t)
{
    t->channel = CHANNEL_READY;
    backoff_reset(&t->backoff);
    for (struct pending_item *item = t->pending.first; item; item = item->next)
        post(t, item);
}

/* --- from the broker --- */

/* The message that this answers; NULL if the client was told already that it took too long. */
static struct pending_item *take_answered(struct chat *t, uint32_t seq)
{
    if (t->posted > 0)
        t->posted--;
    return pending_take(&t->pending, seq);
}

static void take_sent(struct chat *t, const struct ipc_message *m)
{
    struct ipc_reader r = ipc_read(m);
    uint64_t message = ipc_get_u64(&r);
    bool duplicate = ipc_get_u8(&r) != 0;
    struct ipc_text cursor = ipc_get_text(&r, IPC_MAX_ID);
    struct pending_item *item = take_answered(t, m->seq);
    if (item && item->has_id && ipc_read_end(&r)) {
        struct buf json = BUF_INIT;
        chat_put_ack(&json, item->text, item->id_size, message, cursor.p, cursor.n, duplicate);
        send_json(t, &json);
    }
    free(item);
}

static void take_failed(struct chat *t, const struct ipc_message *m)
{
    struct ipc_reader r = ipc_read(m);
    enum ipc_error error = (enum ipc_error)ipc_get_u32(&r);
    if (t->channel != CHANNEL_READY && m->seq == t->step_seq) {
        if (ipc_failure(error)->temporary)
            lose_channel(t);
        else
            say_goodbye(t, 4401, "token expired");
        return;
    }
    struct pending_item *item = take_answered(t, m->seq);
    if (item)
        send_failure(t, item, error);
    free(item);
}

/* A frame that goes to the client as it is; remembers how far the client has been told. */
static void take_frame(struct chat *t, const struct ipc_message *m, uint64_t *position)
{
    struct ipc_reader r = ipc_read(m);
    uint64_t at = ipc_get_u64(&r);
    struct ipc_text frame = ipc_get_text(&r, IPC_MAX_FRAME);
    if (!ipc_read_end(&r))
        return;
    *position = at;
    send_text(t, frame.p, frame.n);
}

static void take_message(struct chat *t, const struct ipc_message *m)
{
    switch (m->type) {
    case IPC_SENT:
        take_sent(t, m);
        break;
    case IPC_FAILED:
        take_failed(t, m);
        break;
    case IPC_EVENT:
        take_frame(t, m, &t->ask->cursor);
        break;
    case IPC_STATUS:
        take_frame(t, m, &t->ask->presence);
        break;
    case IPC_AUTHED:
        if (t->channel == CHANNEL_AUTH && ask_take_authed(t->ask, m))
            start_attach(t);
        break;
    case IPC_ATTACHED:
        if (t->channel == CHANNEL_ATTACH)
            channel_ready(t);
        break;
    default:
        log_error("the broker sent %s", ipc_rule(m->type)->name);
    }
}

static void take_messages(struct chat *t)
{
    struct ipc_message m;
    int got = 1;
    while (t->channel != CHANNEL_AWAY && client_has_room(t) &&
           (got = ipc_channel_next(&t->ask->channel, &m)) > 0)
        take_message(t, &m);
    if (got < 0)
        lose_channel(t);
    t->broker_waits = got > 0 && t->channel != CHANNEL_AWAY;
}

/* --- from the client --- */

static void take_chat_frame(struct chat *t, const struct ws_data *d)
{
    struct chat_frame f;
    chat_frame_parse(&f, (const char *)d->p, d->n, t->conf->max_content);
    if (f.type == CHAT_MESSAGE) {
        struct pending_item *item =
            pending_add(&t->pending, &f, clock_ms() + t->conf->request_timeout);
        if (t->channel == CHANNEL_READY)
            post(t, item);
    } else if (f.type == CHAT_PING) {
        struct buf json = BUF_INIT;
        chat_put_pong(&json, f.id, f.id_size);
        send_json(t, &json);
    } else {
        send_error(t, f.id, f.id_size, f.code, false, f.error);
    }
    chat_frame_free(&f);
}

static void take_close(struct chat *t, const struct ws_data *d)
{
    if (!t->close_by)
        ws_put_close(&t->client->out, d->code, NULL);
    t->close_by = clock_ms(); /* both have said it: exit as soon as ours is written */
}

static void take_event(struct chat *t, enum ws_event event, const struct ws_data *d)
{
    switch (event) {
    case WS_TEXT:
        take_chat_frame(t, d);
        break;
    case WS_BINARY:
        send_error(t, NULL, 0, "bad_frame", false, "Send text frames, not binary ones");
        break;
    case WS_TOO_LARGE:
        send_error(t, NULL, 0, "too_large", false,
                   "The frame is too large; see max_message in chatd.conf(5)");
        break;
    case WS_PING:
        if (!t->close_by)
            ws_put_frame(&t->client->out, WS_OP_PONG, d->p, d->n);
        break;
    case WS_CLOSE:
        take_close(t, d);
        break;
    case WS_FAIL:
        say_goodbye(t, d->code, d->reason);
        t->close_by = clock_ms(); /* what it would answer cannot be understood any more */
        break;
    case WS_PONG:
    case WS_NEED_MORE:
        break;
    }
}

/* May the client send more now? Not while its messages or their answers pile up. */
static bool client_may_send(const struct chat *t)
{
    return pending_room(&t->pending) && t->posted < IPC_MAX_SENDS && client_has_room(t);
}

static void take_events(struct chat *t)
{
    struct ws_data d;
    enum ws_event event = WS_PONG;
    while (client_may_send(t) && (event = ws_read(&t->reader, &t->client->in, &d)) != WS_NEED_MORE)
        take_event(t, event, &d);
    t->client_waits = event != WS_NEED_MORE;
}

static void read_client(struct chat *t)
{
    long n = buf_read(&t->client->in, t->client->fd, 16 * 1024);
    if (n > 0) {
        t->heard_at = clock_ms();
        t->pinged_at = 0;
    } else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
        t->gone = true;
    }
}

/* --- time --- */

static int64_t min(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* When something is due although nobody sends anything. */
static int64_t next_deadline(const struct chat *t)
{
    if ((t->client_waits && client_may_send(t)) || (t->broker_waits && client_has_room(t)))
        return 0;
    int64_t at =
        t->pinged_at ? t->pinged_at + t->conf->ping_timeout : t->heard_at + t->conf->ping_interval;
    if (t->close_by)
        at = t->close_by;
    at = min(at, client_write_deadline(t->client));
    if (t->channel == CHANNEL_AWAY)
        at = min(at, t->reconnect_at);
    if (t->pending.first)
        at = min(at, t->pending.first->deadline);
    int64_t token_left = (t->ask->expires - (int64_t)time(NULL)) * 1000;
    if (!t->close_by)
        at = min(at, clock_ms() + (token_left > 0 ? token_left : 0));
    return at;
}

static void give_up_old_messages(struct chat *t, int64_t now)
{
    while (t->pending.first && t->pending.first->deadline <= now) {
        struct pending_item *item = pending_take(&t->pending, t->pending.first->seq);
        send_failure(t, item, IPC_E_UNAVAILABLE);
        free(item);
    }
}

static void check_clock(struct chat *t)
{
    int64_t now = clock_ms();
    if (client_stop)
        say_goodbye(t, 1012, "service restart");
    if (time(NULL) >= t->ask->expires)
        say_goodbye(t, 4401, "token expired");
    if (t->close_by && now >= t->close_by)
        t->gone = true;
    if (t->pinged_at && now - t->pinged_at >= t->conf->ping_timeout) {
        log_info("no answer to a ping");
        t->gone = true;
    } else if (!t->pinged_at && !t->close_by && now - t->heard_at >= t->conf->ping_interval) {
        ws_put_frame(&t->client->out, WS_OP_PING, NULL, 0);
        t->pinged_at = now;
    }
    if (t->channel == CHANNEL_AWAY && now >= t->reconnect_at)
        start_auth(t);
    give_up_old_messages(t, now);
}

/* --- the loop --- */

static void wait_and_read(struct chat *t)
{
    struct ipc_channel *channel = &t->ask->channel;
    struct pollfd fds[2] = {{.fd = t->client->fd}, {.fd = channel->fd}};
    if (client_may_send(t))
        fds[0].events |= POLLIN;
    if (buf_len(&t->client->out) > 0)
        fds[0].events |= POLLOUT;
    if (client_has_room(t))
        fds[1].events |= POLLIN;
    if (ipc_channel_queued(channel) > 0)
        fds[1].events |= POLLOUT;
    if (client_poll(fds, channel->fd >= 0 ? 2 : 1, next_deadline(t)) < 0)
        return;
    if (fds[0].revents & (POLLIN | POLLHUP | POLLERR))
        read_client(t);
    if (channel->fd >= 0 && (fds[1].revents & (POLLIN | POLLHUP | POLLERR)) &&
        ipc_channel_fill(channel) < 0)
        lose_channel(t);
}

static void step(struct chat *t)
{
    wait_and_read(t);
    take_events(t);
    take_messages(t);
    check_clock(t);
    if (t->channel != CHANNEL_AWAY && ipc_channel_flush(&t->ask->channel) < 0)
        lose_channel(t);
    if (client_write(t->client) < 0)
        t->gone = true;
}

void chat_run(struct client *c, struct ask *a)
{
    struct chat t = {.conf = c->conf,
                     .client = c,
                     .ask = a,
                     .channel = CHANNEL_READY,
                     .backoff = {.first = 20, .most = 2000},
                     .broker_waits = true, /* a delivery may have come with the last answer */
                     .heard_at = clock_ms()};
    ws_reader_init(&t.reader, c->conf->max_message, c->conf->max_message * MAX_SKIP_TIMES);
    buf_append(&t.token, buf_head(&a->token), buf_len(&a->token));
    take_events(&t); /* what came right behind the handshake */
    while (!t.gone)
        step(&t);
    client_linger(c);
    pending_free(&t.pending);
    ws_reader_free(&t.reader);
    buf_wipe(&t.token);
}

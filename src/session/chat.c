/* A WebSocket: frames of RFC 6455 around what live.c carries; see chat.h. */
#include "chat.h"

#include "clock.h"
#include "live.h"
#include "live_put.h"
#include "log.h"
#include "signin.h"
#include "ws.h"

enum {
    MAX_SKIP_TIMES = 16,  /* a message more than this many times too large ends the connection */
    CLOSE_WAIT_MS = 2000, /* for the client's answer to our close frame */
    ERROR_COST = 10,      /* in frames: what an error costs, beside the frame that caused it */
    MAX_FIRST = 2 * IPC_MAX_TOKEN,
};

struct chat {
    struct live live; /* first, for chat_of() */
    struct ws_reader reader;
    const struct ws_deflate *deflate; /* as agreed in the handshake */
    uint64_t paid;                    /* frames already charged to frame_rate */
    unsigned owed;                    /* extra frames to charge, for errors */
    int64_t pinged_at;                /* clock_ms() of our ping; 0: nothing to wait for */
};

static struct chat *chat_of(struct live *l)
{
    return (struct chat *)l;
}

/* Before sign-in only an auth frame is of use: it needs room for a token, no more. */
static void bound_messages(struct chat *t)
{
    size_t most = t->live.conf->max_message;
    if (signin_waits(&t->live) && most > MAX_FIRST)
        most = MAX_FIRST;
    t->reader.max_message = most;
    t->reader.max_skip = (uint64_t)most * MAX_SKIP_TIMES;
}

static void put_frame(struct live *l, const void *json, size_t n, const struct cursor *at)
{
    (void)at; /* the frame carries it */
    ws_put_message(&l->client->out, WS_OP_TEXT, json, n, chat_of(l)->deflate);
}

static void say_goodbye(struct live *l, int code, const char *reason)
{
    ws_put_close(&l->client->out, code, reason);
    l->close_by = clock_ms() + CLOSE_WAIT_MS;
}

static void complain(struct live *l, const struct chat_frame *f, const char *code, const char *text)
{
    chat_of(l)->owed += ERROR_COST;
    live_put_error(l, f ? f->id : (struct text){0}, code, false, text);
}

/* Costs as much as an error: the broker must check the token. */
static void take_auth(struct live *l, const struct chat_frame *f)
{
    chat_of(l)->owed += ERROR_COST;
    signin_frame(l, f);
    bound_messages(chat_of(l));
}

/* Until it is answered, over a restart of the broker, too. */
static bool is_kept(enum chat_type type)
{
    return type == CHAT_MESSAGE || type == CHAT_READ || type == CHAT_DELIVERED ||
           type == CHAT_EDIT || type == CHAT_DELETE || type == CHAT_REACT;
}

static void take_chat_frame(struct live *l, const struct ws_data *d)
{
    struct chat_frame f;
    chat_frame_parse(&f, (const char *)d->p, d->n, l->conf->max_content);
    if (f.type == CHAT_AUTH) {
        take_auth(l, &f);
    } else if (f.type != CHAT_INVALID && signin_waits(l)) {
        complain(l, &f, "unauthorized", "Say first who you are, by an auth frame with a token");
    } else if (is_kept(f.type)) {
        live_send(l, &f);
    } else if (f.type == CHAT_TYPING) {
        live_typing(l, &f);
    } else if (f.type == CHAT_RESUME) {
        live_resume(l, &f);
    } else if (f.type == CHAT_PING) {
        struct buf json = BUF_INIT;
        chat_put_pong(&json, f.id);
        live_put_json(l, &json);
    } else {
        complain(l, &f, f.code, f.error);
    }
    chat_frame_free(&f);
}

static void take_close(struct live *l, const struct ws_data *d)
{
    if (!l->close_by)
        say_goodbye(l, d->code, NULL);
    l->last_word = true; /* both sides have sent a close frame */
}

static void take_event(struct live *l, enum ws_event event, const struct ws_data *d)
{
    switch (event) {
    case WS_TEXT:
        take_chat_frame(l, d);
        break;
    case WS_BINARY:
        complain(l, NULL, "bad_frame", "Send text frames, not binary ones");
        break;
    case WS_TOO_LARGE:
        complain(l, NULL, "too_large", "The frame is too large; see max_message in chatd.conf(5)");
        break;
    case WS_PING:
        if (!l->close_by)
            ws_put_frame(&l->client->out, WS_OP_PONG, d->p, d->n);
        break;
    case WS_CLOSE:
        take_close(l, d);
        break;
    case WS_FAIL:
        live_goodbye(l, d->code, d->reason);
        l->last_word = true; /* the rest of its input cannot be parsed */
        break;
    case WS_PONG:
    case WS_NEED_MORE:
        break;
    }
    bool message = event == WS_TEXT || event == WS_BINARY || event == WS_TOO_LARGE;
    if (message && signin_waits(l))
        signin_miss(l);
}

/* Charges new frames and errors to frame_rate; false if it is exceeded. Empty fragments count. */
static bool pay(struct chat *t)
{
    int64_t amount = (int64_t)(t->reader.frames - t->paid) + t->owed;
    t->paid = t->reader.frames;
    t->owed = 0;
    return client_may(t->live.client, amount);
}

static void end_flood(struct live *l)
{
    live_put_error(l, (struct text){0}, "flooding", false,
                   "You send more than frame_rate allows; see chatd.conf(5)");
    live_goodbye(l, 4429, "flooding");
    l->last_word = true; /* ignore whatever else it sends */
}

static void take_events(struct live *l)
{
    struct chat *t = chat_of(l);
    struct ws_data d;
    enum ws_event event = WS_PONG;
    while (!l->last_word && event != WS_NEED_MORE && live_may_send(l)) {
        event = ws_read(&t->reader, &l->client->in, &d);
        if (pay(t))
            take_event(l, event, &d);
        else
            end_flood(l);
    }
    if (l->last_word)
        buf_free(&l->client->in);
    l->input_waits = event != WS_NEED_MORE && !l->last_word;
}

static int64_t tick(struct live *l, int64_t now)
{
    struct chat *t = chat_of(l);
    if (l->close_by)
        return l->close_by;
    if (l->heard_at >= t->pinged_at)
        t->pinged_at = 0;
    if (t->pinged_at && now - t->pinged_at >= l->conf->ping_timeout) {
        log_info("no answer to a ping");
        l->gone = true;
    } else if (!t->pinged_at && now - l->heard_at >= l->conf->ping_interval) {
        ws_put_frame(&l->client->out, WS_OP_PING, NULL, 0);
        t->pinged_at = now;
    }
    return t->pinged_at ? t->pinged_at + l->conf->ping_timeout
                        : l->heard_at + l->conf->ping_interval;
}

void chat_run(struct client *c, struct ask *a, const struct next *next)
{
    static const struct live_kind kind = {put_frame, take_events, say_goodbye, tick};
    struct chat t = {.deflate = &next->deflate};
    live_init(&t.live, &kind, c, a, next);
    ws_reader_init(&t.reader, 0, 0);
    ws_reader_allow_deflate(&t.reader, t.deflate);
    bound_messages(&t);
    live_run(&t.live);
    ws_reader_free(&t.reader);
}

/* A WebSocket: frames of RFC 6455 around what live.c carries; see chat.h. */
#include "chat.h"

#include "clock.h"
#include "live.h"
#include "log.h"
#include "ws.h"

enum {
    MAX_SKIP_TIMES = 16,  /* a message this many times too large ends the connection */
    CLOSE_WAIT_MS = 2000, /* for the client's answer to our close frame */
};

struct chat {
    struct live live; /* first: the two have one address */
    struct ws_reader reader;
    int64_t pinged_at; /* clock_ms() of our ping that waits for an answer; 0: none */
};

static struct chat *chat_of(struct live *l)
{
    return (struct chat *)l;
}

static void put_frame(struct live *l, const void *json, size_t n, const struct cursor *at)
{
    (void)at; /* the frame carries it */
    ws_put_frame(&l->client->out, WS_OP_TEXT, json, n);
}

static void say_goodbye(struct live *l, int code, const char *reason)
{
    ws_put_close(&l->client->out, code, reason);
    l->close_by = clock_ms() + CLOSE_WAIT_MS;
}

static void take_chat_frame(struct live *l, const struct ws_data *d)
{
    struct chat_frame f;
    chat_frame_parse(&f, (const char *)d->p, d->n, l->conf->max_content);
    if (f.type == CHAT_MESSAGE) {
        live_send(l, &f);
    } else if (f.type == CHAT_RESUME) {
        live_resume(l, &f);
    } else if (f.type == CHAT_PING) {
        struct buf json = BUF_INIT;
        chat_put_pong(&json, f.id, f.id_size);
        live_put_json(l, &json);
    } else {
        live_put_error(l, f.id, f.id_size, f.code, false, f.error);
    }
    chat_frame_free(&f);
}

static void take_close(struct live *l, const struct ws_data *d)
{
    if (!l->close_by)
        say_goodbye(l, d->code, NULL);
    l->last_word = true; /* both have said it */
}

static void take_event(struct live *l, enum ws_event event, const struct ws_data *d)
{
    switch (event) {
    case WS_TEXT:
        take_chat_frame(l, d);
        break;
    case WS_BINARY:
        live_put_error(l, NULL, 0, "bad_frame", false, "Send text frames, not binary ones");
        break;
    case WS_TOO_LARGE:
        live_put_error(l, NULL, 0, "too_large", false,
                       "The frame is too large; see max_message in chatd.conf(5)");
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
        l->last_word = true; /* what it would answer cannot be understood any more */
        break;
    case WS_PONG:
    case WS_NEED_MORE:
        break;
    }
}

static void take_events(struct live *l)
{
    struct ws_data d;
    enum ws_event event = WS_PONG;
    while (live_may_send(l) &&
           (event = ws_read(&chat_of(l)->reader, &l->client->in, &d)) != WS_NEED_MORE)
        take_event(l, event, &d);
    l->input_waits = event != WS_NEED_MORE;
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
    struct chat t = {0};
    ws_reader_init(&t.reader, c->conf->max_message, c->conf->max_message * MAX_SKIP_TIMES);
    live_init(&t.live, &kind, c, a, next);
    live_run(&t.live);
    ws_reader_free(&t.reader);
}

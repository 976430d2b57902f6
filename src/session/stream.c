/* The event stream; see stream.h. */
#include "stream.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/socket.h>

#include "clock.h"
#include "live.h"
#include "live_put.h"

enum {
    CLOSE_WAIT_MS = 2000,  /* for the client to take the end of the stream */
    CLOSE_FOR_GOOD = 4400, /* and above: close codes after which reconnecting is of no use */
};

struct stream {
    struct live live; /* first: live.c's pointer is cast back */
    const struct next *next;
    int64_t ping_at; /* clock_ms() */
};

static const struct next *next_of(const struct live *l)
{
    return ((const struct stream *)l)->next;
}

/* One chunk is one event. */
static void put_chunk(struct live *l, struct buf *event)
{
    struct buf *out = &l->client->out;
    if (next_of(l)->chunked)
        http_response_chunk(out, buf_head(event), buf_len(event));
    else
        buf_append(out, buf_head(event), buf_len(event));
    buf_free(event);
}

/* Frames are JSON on one line: no end of line has to be escaped. */
static void put_frame(struct live *l, const void *json, size_t n, const struct cursor *at)
{
    struct buf event = BUF_INIT;
    bool sse = next_of(l)->event_stream;
    if (sse && at) {
        char text[CURSOR_TEXT];
        cursor_format(text, l->ask->tag, *at);
        buf_printf(&event, "id: %s\n", text);
    }
    if (sse)
        buf_puts(&event, "data: ");
    buf_append(&event, json, n);
    buf_puts(&event, sse ? "\n\n" : "\n");
    put_chunk(l, &event);
}

/* Input has no meaning on a stream. */
static void drop_input(struct live *l)
{
    buf_free(&l->client->in);
}

/* A client reconnects when its stream just ends. Where that is of no use, an error comes first and
 * says why. */
static void say_goodbye(struct live *l, int code, const char *reason)
{
    if (code >= CLOSE_FOR_GOOD)
        live_put_error(l, (struct text){0}, code == 4403 ? "disabled" : "unauthorized", false,
                       reason);
    if (next_of(l)->chunked)
        http_response_chunk(&l->client->out, NULL, 0);
    l->close_by = clock_ms() + CLOSE_WAIT_MS;
    l->last_word = true;
}

static int64_t tick(struct live *l, int64_t now)
{
    struct stream *s = (struct stream *)l;
    if (l->close_by)
        return l->close_by;
    if (now >= s->ping_at) {
        struct buf event = BUF_INIT;
        buf_puts(&event, s->next->event_stream ? ": ping\n\n" : "{\"type\":\"ping\"}\n");
        put_chunk(l, &event);
        s->ping_at = now + l->conf->ping_interval;
    }
    return s->ping_at;
}

/* If a client vanishes, our pings are not acknowledged, and the kernel ends the connection after
 * this time. It also ends that of a client that only does not read, which has write_timeout. */
static void give_up_after(const struct client *c, int64_t ms)
{
    unsigned most = (unsigned)(ms > c->conf->write_timeout ? ms : c->conf->write_timeout);
    setsockopt(c->fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &most, sizeof(most)); /* Unix: fails */
}

void stream_run(struct client *c, struct ask *a, const struct next *next)
{
    static const struct live_kind kind = {put_frame, drop_input, say_goodbye, tick};
    struct stream s = {.next = next, .ping_at = clock_ms() + c->conf->ping_interval};
    give_up_after(c, c->conf->ping_timeout);
    live_init(&s.live, &kind, c, a, next);
    live_run(&s.live);
}

/* --- the request --- */

static bool accepts_event_stream(const struct exchange *x)
{
    return http_request_accepts(&x->request, "text/event-stream");
}

/* Where the client was. A browser that reconnects to server-sent events repeats the URL with its
 * old cursor, and has the newer one in Last-Event-ID. */
static struct text find_cursor(const struct exchange *x)
{
    struct text t = exchange_query(x, "cursor");
    const struct text *last = http_request_field(&x->request, "Last-Event-ID");
    if (last && last->n > 0)
        return *last;
    return t.p ? t : (struct text){"", 0};
}

static void begin_stream(struct exchange *x)
{
    struct buf *out = &x->client->out;
    x->close = true;
    x->next.kind = NEXT_STREAM;
    x->next.event_stream = accepts_event_stream(x);
    x->next.chunked = x->request.minor > 0;
    exchange_begin(x, 200);
    http_response_field(out, "Content-Type",
                        x->next.event_stream ? "text/event-stream" : "application/x-ndjson");
    http_response_field(out, "Cache-Control", "no-store");
    http_response_field(out, "X-Content-Type-Options", "nosniff");
    if (x->next.chunked)
        http_response_field(out, "Transfer-Encoding", "chunked");
    http_response_end(out);
}

void stream_serve(struct exchange *x)
{
    if (client_stop) {
        exchange_error(x, 503, "The server is restarting; try again");
        return;
    }
    if (!exchange_origin_allowed(x)) {
        exchange_error(x, 403, EXCHANGE_BAD_ORIGIN);
        return;
    }
    if (!exchange_authenticated(x))
        return;
    enum ipc_error error = exchange_attach(x, exchange_bearer(x), find_cursor(x));
    if (error)
        exchange_failure(x, error);
    else
        begin_stream(x);
}

/* HTTP/1.1: reading requests, keep-alive, and the end of the connection; see serve.h. */
#include "serve.h"

#include "clock.h"
#include "exchange.h"
#include "proxied.h"
#include "rest.h"

/* Refuses a request that was not read to its end: the next one cannot be found. */
static void refuse(struct exchange *x, int status, const char *text)
{
    x->close = true;
    exchange_error(x, status, text);
}

/* Reads the head of the next request. False if there is none, or it was refused. */
static bool read_head(struct exchange *x, bool first)
{
    struct client *c = x->client;
    int64_t deadline = clock_ms() + (first ? c->conf->header_timeout : c->conf->keepalive_timeout);
    bool started = first;
    for (;;) {
        long n = 0;
        if (buf_len(&c->in) > 0)
            n = http_request_parse(buf_head(&c->in), buf_len(&c->in), c->conf->max_header,
                                   &x->request);
        if (n < 0) {
            refuse(x, (int)-n, x->request.error);
            return false;
        }
        if (n > 0) {
            /* The head gets its own buffer: the views must outlive the reading of a body. */
            buf_append(&x->head, buf_head(&c->in), (size_t)n);
            buf_consume(&c->in, (size_t)n);
            http_request_parse(buf_head(&x->head), (size_t)n, c->conf->max_header, &x->request);
            return true;
        }
        if (!started && buf_len(&c->in) > 0) {
            started = true; /* the head has begun: header_timeout counts now */
            deadline = clock_ms() + c->conf->header_timeout;
        }
        int got = client_read(c, deadline);
        if (got < 0 && !client_stop && buf_len(&c->in) > 0)
            refuse(x, 408, "The request did not arrive in time");
        if (got <= 0)
            return false;
    }
}

static bool invite_body(struct exchange *x)
{
    bool begun = buf_len(&x->client->in) > 0 || buf_len(&x->body) > 0;
    if (!x->request.expect_continue || begun)
        return true;
    buf_puts(&x->client->out, "HTTP/1.1 100 Continue\r\n\r\n");
    return client_flush(x->client);
}

/* Reads the body. False if it was refused, or the client is gone. */
static bool read_body(struct exchange *x)
{
    struct client *c = x->client;
    struct http_body body;
    const char *error;
    int64_t deadline = clock_ms() + c->conf->body_timeout;
    if (x->request.content_length > (int64_t)c->conf->max_body) {
        refuse(x, 413, "The body is too large; see max_body in chatd.conf(5)");
        return false;
    }
    http_body_init(&body, &x->request);
    bool invited = false;
    for (;;) {
        int got = http_body_read(&body, &c->in, &x->body, c->conf->max_body, &error);
        if (got > 0)
            return true;
        if (got < 0) {
            refuse(x, -got, error);
            return false;
        }
        if (!invited && !invite_body(x))
            return false;
        invited = true;
        got = client_read(c, deadline);
        if (got < 0 && !client_stop)
            refuse(x, 408, "The body did not arrive in time");
        if (got <= 0)
            return false;
    }
}

static void answer(struct exchange *x)
{
    if (client_may(x->client, 1))
        rest_serve(x);
    else
        exchange_error(x, 429, "Too many requests on this connection; send fewer in a second");
}

/* Serves one request. True if the connection goes on, with another one or as x->next says. */
static bool serve_one(struct exchange *x, bool first)
{
    bool served = false;
    if (read_head(x, first)) {
        x->close = !x->request.keep_alive || client_stop;
        /* A channel to the broker belongs to one client: another needs a new one. */
        if (proxied_request(x->client, &x->request))
            ask_close(x->ask);
        if (read_body(x)) {
            answer(x);
            served = true;
        }
    }
    if (x->answered && !client_flush(x->client))
        return false;
    if (x->next.kind != NEXT_NOTHING)
        return true;
    if (x->answered && x->close)
        client_linger(x->client);
    return served && !x->close;
}

struct next serve_http(struct client *c, struct ask *a)
{
    struct next next = {.kind = NEXT_NOTHING};
    bool more = true;
    for (bool first = true; more && next.kind == NEXT_NOTHING; first = false) {
        struct exchange x = {.conf = c->conf, .client = c, .ask = a};
        more = serve_one(&x, first);
        if (more)
            next = x.next;
        buf_wipe(&x.head);
        buf_wipe(&x.body);
    }
    return next;
}

void serve_plain_http(struct client *c)
{
    struct exchange x = {.conf = c->conf, .client = c, .close = true};
    exchange_error(&x, 400, "This port speaks TLS; use https:// or wss://");
    if (client_write(c) > 0)
        client_linger(c);
}

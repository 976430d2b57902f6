/* Answering a request; see exchange.h. */
#include "exchange.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "clock.h"
#include "json.h"

/* Seconds to wait before trying again. Hourly limits refill continuously: with the default ones
 * a minute is enough. */
#define RETRY_AFTER "2"

/* With so many in a row the connection ends: whoever guesses or floods pays for a new one. */
enum { UNAUTHORIZED_MOST = 10 };

enum { MINUTE = 60, DAY = 24 * 60 * MINUTE }; /* seconds */

/* Response fields that a page may need. */
#define EXPOSED "Retry-After, Allow, Accept, Accept-Encoding, WWW-Authenticate, Date, ETag, Link"

struct text exchange_bearer(const struct exchange *x)
{
    static const char scheme[] = "bearer ";
    size_t n = sizeof(scheme) - 1;
    const struct text *field = http_request_field(&x->request, "Authorization");
    if (!field || field->n <= n || strncasecmp(field->p, scheme, n) != 0)
        return (struct text){NULL, 0};
    return (struct text){field->p + n, field->n - n};
}

struct text exchange_query(const struct exchange *x, const char *name)
{
    struct text query = x->request.query;
    size_t size = strlen(name);
    while (query.n > 0) {
        const char *end = memchr(query.p, '&', query.n);
        size_t n = end ? (size_t)(end - query.p) : query.n;
        if (n > size && query.p[size] == '=' && memcmp(query.p, name, size) == 0)
            return (struct text){query.p + size + 1, n - size - 1};
        query.n -= n + (end != NULL);
        query.p += n + (end != NULL);
    }
    return (struct text){NULL, 0};
}

static void set_start(struct exchange *x, struct text cursor)
{
    x->next.start = !cursor.p ? FROM_NOW : cursor.n == 0 ? FROM_NOW_TOLD : FROM_CURSOR;
}

void exchange_attach_later(struct exchange *x, struct text cursor)
{
    if (cursor.n > IPC_MAX_CURSOR)
        cursor = (struct text){"?", 1}; /* no cursor of ours is so long: not honoured */
    set_start(x, cursor);
    x->next.unproven = true;
    snprintf(x->next.cursor, sizeof(x->next.cursor), "%.*s", (int)cursor.n,
             cursor.p ? cursor.p : "");
}

enum ipc_error exchange_attach(struct exchange *x, struct text token, struct text cursor)
{
    set_start(x, cursor);
    int64_t deadline = clock_ms() + x->conf->request_timeout;
    enum ipc_error error;
    do {
        error = ask_authenticate(x->ask, token.p, token.n);
        if (!error)
            error = ask_attach(x->ask, cursor.p ? cursor.p : "", cursor.n);
    } while (ask_again(x->ask, error, deadline));
    return error;
}

/* Is the text one of the comma-separated entries of the list? An origin's scheme and host
 * are case-insensitive. */
static bool in_list(const char *list, struct text text)
{
    while (*list) {
        size_t n = strcspn(list, ",");
        const char *entry = list;
        list += n + (list[n] == ',');
        for (; n > 0 && *entry == ' '; n--)
            entry++;
        for (; n > 0 && entry[n - 1] == ' '; n--)
            ;
        if (n == text.n && strncasecmp(entry, text.p, n) == 0)
            return true;
    }
    return false;
}

static bool any_origin(const struct exchange *x)
{
    return x->conf->mode == CONF_DEVELOPMENT || strcmp(x->conf->cors_origins, "*") == 0;
}

/* Did the page come from this server? Its origin is then http(s):// and our Host. Both schemes
 * count: behind a proxy that ends TLS we cannot know which one the client used. */
static bool same_origin(const struct exchange *x, struct text origin)
{
    static const char *const schemes[] = {"http://", "https://"};
    struct text host = x->request.host;
    for (size_t i = 0; i < 2; i++) {
        size_t n = strlen(schemes[i]);
        if (host.n > 0 && origin.n == n + host.n && strncasecmp(origin.p, schemes[i], n) == 0 &&
            strncasecmp(origin.p + n, host.p, host.n) == 0)
            return true;
    }
    return false;
}

static bool listed_origin(const struct exchange *x, struct text origin)
{
    return any_origin(x) || in_list(x->conf->cors_origins, origin);
}

/* The field Origin; p is NULL unless there is exactly one. A request with two is refused; a
 * page may read why only if all may. */
static struct text origin_of(const struct exchange *x)
{
    bool one = http_request_field_count(&x->request, "Origin") == 1;
    return one ? *http_request_field(&x->request, "Origin") : (struct text){NULL, 0};
}

bool exchange_origin_allowed(const struct exchange *x)
{
    struct text origin = origin_of(x);
    return !origin.p || listed_origin(x, origin) || same_origin(x, origin);
}

/* Says which origin may read the answer, and which fields of it beside the CORS-safelisted ones
 * (Fetch standard). */
static void put_cors(struct exchange *x)
{
    struct buf *out = &x->client->out;
    struct text origin = origin_of(x);
    if (!any_origin(x) && *x->conf->cors_origins)
        http_response_field(out, "Vary", "Origin");
    if (any_origin(x))
        http_response_field(out, "Access-Control-Allow-Origin", "*");
    else if (origin.p && listed_origin(x, origin))
        http_response_fieldf(out, "Access-Control-Allow-Origin", "%.*s", (int)origin.n, origin.p);
    else
        return;
    if (origin.p)
        http_response_field(out, "Access-Control-Expose-Headers", EXPOSED);
}

/* OPTIONS succeeds for anybody, and is no reason to start anew. */
static void count_unauthorized(struct exchange *x, int status)
{
    struct client *c = x->client;
    if (status == 401)
        x->close = ++c->unauthorized >= UNAUTHORIZED_MOST || x->close;
    else if (status < 300 && !http_text_is(x->request.method, "OPTIONS"))
        c->unauthorized = 0;
}

void exchange_begin(struct exchange *x, int status)
{
    struct buf *out = &x->client->out;
    http_response_begin(out, status, time(NULL));
    count_unauthorized(x, status);
    /* SIGTERM may have arrived since the request was read: tell the client. */
    x->close = x->close || client_stop;
    if (x->close)
        http_response_field(out, "Connection", "close");
    else if (x->request.minor == 0)
        http_response_field(out, "Connection", "keep-alive");
    put_cors(x);
    x->answered = true;
}

static void put_json_fields(struct exchange *x)
{
    struct buf *out = &x->client->out;
    http_response_field(out, "Content-Type", "application/json");
    http_response_field(out, "Cache-Control", "no-store");
    http_response_field(out, "X-Content-Type-Options", "nosniff");
    if (*x->link)
        http_response_field(out, "Link", x->link);
}

void exchange_begin_json(struct exchange *x, int status)
{
    exchange_begin(x, status);
    put_json_fields(x);
}

/* In development a newline follows the body, so that curl leaves the prompt on a new line. */
static void put_body(struct exchange *x, const char *json, size_t n)
{
    struct buf *out = &x->client->out;
    bool line = x->conf->mode == CONF_DEVELOPMENT;
    put_json_fields(x);
    http_response_fieldf(out, "Content-Length", "%zu", n + line);
    http_response_end(out);
    if (http_text_is(x->request.method, "HEAD"))
        return;
    buf_append(out, json, n);
    if (line)
        buf_puts(out, "\n");
}

void exchange_reply(struct exchange *x, int status, const char *json, size_t n)
{
    exchange_begin(x, status);
    put_body(x, json, n);
}

void exchange_no_content(struct exchange *x)
{
    exchange_begin(x, 204);
    http_response_field(&x->client->out, "Cache-Control", "no-store");
    http_response_end(&x->client->out);
}

static void put_error_body(struct exchange *x, const char *text)
{
    struct buf json = BUF_INIT;
    buf_puts(&json, "{\"error\":");
    json_put_string(&json, text, strlen(text));
    buf_puts(&json, "}");
    put_body(x, (const char *)buf_head(&json), buf_len(&json));
    buf_free(&json);
}

static void put_fields_of(struct exchange *x, int status)
{
    struct buf *out = &x->client->out;
    if (status == 401)
        http_response_field(out, "WWW-Authenticate",
                            x->token_refused ? "Bearer realm=\"chatd\", error=\"invalid_token\""
                                             : "Bearer realm=\"chatd\"");
    if (status == 503)
        http_response_field(out, "Retry-After", RETRY_AFTER);
    if (status == 429)
        http_response_fieldf(out, "Retry-After", "%d", x->retry_after ? x->retry_after : MINUTE);
    if (status == 426) {
        http_response_field(out, "Connection", "Upgrade");
        http_response_field(out, "Upgrade", "websocket");
        http_response_field(out, "Sec-WebSocket-Version", "13");
    }
}

void exchange_error(struct exchange *x, int status, const char *text)
{
    exchange_begin(x, status);
    put_fields_of(x, status);
    put_error_body(x, text);
}

void exchange_error_with(struct exchange *x, int status, const char *text, const char *name,
                         const char *value)
{
    exchange_begin(x, status);
    http_response_field(&x->client->out, name, value);
    put_error_body(x, text);
}

void exchange_redirect(struct exchange *x)
{
    struct text host = x->request.host, path = x->request.path, query = x->request.query;
    if (host.n == 0) {
        exchange_error(x, 400, "This server needs HTTPS; add a Host header field to be redirected");
        return;
    }
    /* Without its port; an IPv6 address has colons of its own. */
    const char *end = memchr(host.p, host.p[0] == '[' ? ']' : ':', host.n);
    if (end)
        host.n = (size_t)(end - host.p) + (*end == ']');
    char port[8] = "";
    if (x->conf->https_redirect != 443)
        snprintf(port, sizeof(port), ":%d", x->conf->https_redirect);
    exchange_begin(x, 308);
    http_response_fieldf(&x->client->out, "Location", "https://%.*s%s%.*s%s%.*s", (int)host.n,
                         host.p, port, (int)path.n, path.p, query.n ? "?" : "", (int)query.n,
                         query.p);
    put_error_body(x, "This server needs HTTPS; see the Location field");
}

void exchange_failure(struct exchange *x, enum ipc_error error)
{
    const struct ipc_failure *f = ipc_failure(error);
    x->token_refused = error == IPC_E_UNAUTHORIZED || error == IPC_E_OTHER_USER;
    if (error == IPC_E_QUOTA)
        x->retry_after = DAY - (int)(time(NULL) % DAY);
    exchange_error(x, f->status, f->text);
}

bool exchange_authenticated(struct exchange *x)
{
    struct text token = exchange_bearer(x);
    if (!token.p) {
        exchange_error(x, 401,
                       "The header \"Authorization: Bearer TOKEN\" is missing; "
                       "POST /login gives a token");
        return false;
    }
    enum ipc_error error = ask_authenticate(x->ask, token.p, token.n);
    if (error)
        exchange_failure(x, error);
    return !error;
}

void exchange_options(struct exchange *x, const char *allow)
{
    struct buf *out = &x->client->out;
    exchange_begin(x, 204);
    http_response_field(out, "Allow", allow);
    http_response_field(out, "Access-Control-Allow-Methods", allow);
    http_response_field(out, "Access-Control-Allow-Headers",
                        "Authorization, Content-Type, Idempotency-Key, Last-Event-ID");
    http_response_field(out, "Access-Control-Max-Age", "600");
    http_response_end(out);
}

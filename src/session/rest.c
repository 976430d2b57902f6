/* Routes and their handlers; see rest.h. */
#include "rest.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "chat_frame.h"
#include "clock.h"
#include "json.h"
#include "random.h"
#include "rest_accounts.h"
#include "rest_body.h"
#include "stream.h"
#include "upgrade.h"
#include "utf8.h"

enum { DEFAULT_LIMIT = 50 };

/* --- GET /users, GET /messages/:userId --- */

static void serve_users(struct exchange *x)
{
    if (exchange_authenticated(x))
        rest_forward_reply(x, ask_begin(x->ask, IPC_USERS));
}

/* A whole number, in decimal digits only, up to 18 of them. */
static bool read_number(struct http_text t, uint64_t *v)
{
    *v = 0;
    for (size_t i = 0; i < t.n; i++) {
        if (t.p[i] < '0' || t.p[i] > '9')
            return false;
        *v = *v * 10 + (uint64_t)(t.p[i] - '0');
    }
    return t.n >= 1 && t.n <= 18;
}

struct history {
    uint64_t user, before, after, limit;
};

/* Reads before=, after= and limit= of the query; others are ignored. NULL, or what is wrong. */
static const char *read_query(const struct exchange *x, struct history *h)
{
    const struct {
        const char *name;
        uint64_t *value;
        uint64_t least, most;
        const char *error;
    } known[] = {
        {"before", &h->before, 1, INT64_MAX, "\"before\" must be a message id"},
        {"after", &h->after, 0, INT64_MAX, "\"after\" must be a message id, or 0"},
        {"limit", &h->limit, 1, IPC_MAX_HISTORY, "\"limit\" must be a number from 1 to 100"},
    };
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++) {
        struct http_text value = exchange_query(x, known[i].name);
        if (value.p && (!read_number(value, known[i].value) || *known[i].value < known[i].least ||
                        *known[i].value > known[i].most))
            return known[i].error;
    }
    return NULL;
}

static void serve_history(struct exchange *x)
{
    struct http_text id = x->request.path;
    size_t prefix = strlen("/messages/");
    id.p += prefix;
    id.n -= prefix;
    struct history h = {.before = IPC_NO_BOUND, .after = IPC_NO_BOUND, .limit = DEFAULT_LIMIT};
    if (!exchange_authenticated(x))
        return;
    const char *wrong = read_number(id, &h.user) && h.user > 0
                            ? read_query(x, &h)
                            : "The user id in the path must be a whole number above zero";
    if (wrong) {
        exchange_error(x, 400, wrong);
        return;
    }
    size_t begin = ask_begin(x->ask, IPC_HISTORY);
    struct buf *out = &x->ask->channel.out;
    ipc_put_u64(out, h.user);
    ipc_put_u64(out, h.before);
    ipc_put_u64(out, h.after);
    ipc_put_u32(out, (uint32_t)h.limit);
    rest_forward_reply(x, begin);
}

/* --- POST /messages --- */

enum { MAX_KEY = IPC_MAX_ID };

struct message {
    char made_up[32];
    struct http_text id; /* the client's, or made_up */
    const char *content;
    size_t size;
    int64_t receiver;
};

static const char *read_message(const struct exchange *x, struct json_object *object,
                                struct message *m)
{
    const struct http_text *key = http_request_field(&x->request, "Idempotency-Key");
    if (key && (key->n < 1 || key->n > MAX_KEY))
        return "The field Idempotency-Key must have 1 to 64 bytes";
    if (key && !utf8_valid((const uint8_t *)key->p, key->n))
        return "The field Idempotency-Key must be UTF-8";
    if (!key)
        random_hex(m->made_up, sizeof(m->made_up) / 2); /* nobody's other message has it */
    m->id = key ? *key : (struct http_text){m->made_up, sizeof(m->made_up)};
    if (json_get_text(object, "content", &m->content, &m->size) != JSON_OK)
        return "\"content\" must be a string";
    if (json_get_id(object, "receiver_id", &m->receiver) != JSON_OK)
        return "\"receiver_id\" must be a user id, a whole number above zero";
    return chat_content_error(m->size, x->conf->max_content);
}

static enum ipc_error ask_send(struct ask *a, const struct message *m, bool again,
                               struct ipc_message *answer)
{
    size_t begin = ask_begin(a, IPC_SEND);
    ipc_put_u64(&a->channel.out, (uint64_t)m->receiver);
    ipc_put_text(&a->channel.out, m->id.p, m->id.n);
    ipc_put_text(&a->channel.out, m->content, m->size);
    ipc_put_u8(&a->channel.out, again);
    return ask_end(a, begin, IPC_SENT, answer);
}

/* A broker that dies meanwhile takes nothing with it: the message goes to the next one, under the
 * same id. */
static enum ipc_error send_message(struct exchange *x, const struct message *m,
                                   struct ipc_message *answer)
{
    int64_t deadline = clock_ms() + x->conf->request_timeout;
    struct http_text token = exchange_bearer(x);
    enum ipc_error error = ask_send(x->ask, m, false, answer);
    while (ask_again(x->ask, error, deadline)) {
        error = ask_authenticate(x->ask, token.p, token.n);
        if (!error)
            error = ask_send(x->ask, m, true, answer);
    }
    return error;
}

static void send_with(struct exchange *x, struct json_object *object)
{
    struct message m = {0};
    const char *wrong = read_message(x, object, &m);
    if (wrong) {
        exchange_error(x, m.size > x->conf->max_content ? 413 : 400, wrong);
        return;
    }
    struct ipc_message answer;
    enum ipc_error error = send_message(x, &m, &answer);
    if (error) {
        exchange_failure(x, error);
        return;
    }
    struct ipc_reader r = ipc_read(&answer);
    uint64_t message = ipc_get_u64(&r);
    bool duplicate = ipc_get_u8(&r) != 0;
    char json[80];
    int n = snprintf(json, sizeof(json), "{\"message_id\":%llu,\"duplicate\":%s}",
                     (unsigned long long)message, duplicate ? "true" : "false");
    exchange_reply(x, duplicate ? 200 : 201, json, (size_t)n);
}

static void serve_send(struct exchange *x)
{
    if (exchange_authenticated(x))
        rest_with_body(x, send_with);
}

/* --- routes --- */

struct route {
    const char *path; /* one that ends in '/' has one more segment */
    const char *method;
    const char *allow;
    void (*serve)(struct exchange *x);
};

static const struct route routes[] = {
    {"/register", "POST", "POST, OPTIONS", rest_register},
    {"/login", "POST", "POST, OPTIONS", rest_login},
    {"/password", "POST", "POST, OPTIONS", rest_password},
    {"/logout", "POST", "POST, OPTIONS", rest_logout},
    {"/users", "GET", "GET, HEAD, OPTIONS", serve_users},
    {"/messages", "POST", "POST, OPTIONS", serve_send},
    {"/messages/", "GET", "GET, HEAD, OPTIONS", serve_history},
    {"/events", "GET", "GET, OPTIONS", stream_serve},
    {"/ws", "GET", "GET, OPTIONS", upgrade_serve},
};

static const struct route *find_route(struct http_text path)
{
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        size_t n = strlen(routes[i].path);
        bool open = routes[i].path[n - 1] == '/';
        if (path.n < n || memcmp(path.p, routes[i].path, n) != 0)
            continue;
        if (open ? path.n > n && !memchr(path.p + n, '/', path.n - n) : path.n == n)
            return &routes[i];
    }
    return NULL;
}

static bool method_known(struct http_text method)
{
    static const char *const known[] = {"GET",    "HEAD",  "POST",    "PUT",
                                        "DELETE", "PATCH", "OPTIONS", "TRACE"};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (http_text_is(method, known[i]))
            return true;
    return false;
}

static bool method_fits(const struct route *route, struct http_text method)
{
    return http_text_is(method, route->method) ||
           (http_text_is(method, "HEAD") && strstr(route->allow, "HEAD"));
}

/* Plain HTTP that came over a network, where there is HTTPS for it. */
static bool redirect_wanted(const struct exchange *x)
{
    const struct client *c = x->client;
    return x->conf->https_redirect && !c->tls && !c->local;
}

void rest_serve(struct exchange *x)
{
    struct http_text method = x->request.method;
    if (redirect_wanted(x)) {
        exchange_redirect(x);
        return;
    }
    if (!method_known(method)) {
        exchange_error(x, 501, "This method is not implemented");
        return;
    }
    if (http_text_is(x->request.target, "*")) {
        exchange_options(x, "GET, HEAD, POST, OPTIONS");
        return;
    }
    const struct route *route = find_route(x->request.path);
    if (!route)
        exchange_error(x, 404, "There is nothing at this path");
    else if (http_text_is(method, "OPTIONS"))
        exchange_options(x, route->allow);
    else if (!method_fits(route, method))
        exchange_error_with(x, 405,
                            "This method is not allowed here; the Allow field lists those that are",
                            "Allow", route->allow);
    else
        route->serve(x);
}

/* Routes and their handlers; see rest.h. */
#include "rest.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "chat_frame.h"
#include "clock.h"
#include "json.h"
#include "random.h"
#include "stream.h"
#include "upgrade.h"
#include "utf8.h"

enum { MAX_USERNAME = 32, MAX_EMAIL = 254, MAX_PASSWORD = 72, DEFAULT_LIMIT = 50 };

/* --- what handlers share --- */

/* Passes on the answer to a request that ask_begin() started. */
static void forward_reply(struct exchange *x, size_t begin)
{
    struct ipc_message m;
    enum ipc_error error = ask_end(x->ask, begin, IPC_REPLY, &m);
    if (error) {
        exchange_failure(x, error);
        return;
    }
    struct ipc_reader r = ipc_read(&m);
    uint32_t status = ipc_get_u32(&r);
    struct ipc_text json = ipc_get_text(&r, IPC_MAX_REPLY);
    if (!ipc_read_end(&r))
        exchange_failure(x, IPC_E_INTERNAL);
    else if (status == 204)
        exchange_no_content(x);
    else
        exchange_reply(x, (int)status, json.p, json.n);
}

static bool is_json(const struct http_request *r)
{
    const struct http_text *type = http_request_field(r, "Content-Type");
    static const char json[] = "application/json";
    size_t n = sizeof(json) - 1;
    return type && type->n >= n && strncasecmp(type->p, json, n) == 0 &&
           (type->n == n || strchr("; \t", type->p[n]));
}

/* With a content coding, and be it one of many, the body is not what its type says. */
static bool is_coded(const struct http_request *r)
{
    struct http_list list = {.r = r, .name = "Content-Encoding"};
    struct http_text coding;
    while (http_list_next(&list, &coding))
        if (!http_text_is_nocase(coding, "identity"))
            return true;
    return false;
}

/* The request's body as a JSON object, for json_object_put(); NULL when that was answered. */
static struct json_object *body_object(struct exchange *x)
{
    if (is_coded(&x->request)) {
        exchange_error_with(x, 415, "Content-Encoding is not supported: send the body uncompressed",
                            "Accept-Encoding", "identity");
        return NULL;
    }
    if (!is_json(&x->request)) {
        exchange_error_with(x, 415, "The header \"Content-Type: application/json\" is missing",
                            "Accept", "application/json");
        return NULL;
    }
    const char *error;
    struct json_object *object =
        json_parse_object((const char *)buf_head(&x->body), buf_len(&x->body), &error);
    if (!object)
        exchange_error(x, 400, error);
    return object;
}

struct field {
    const char *name;
    struct http_text text;
};

/* Fills in the named members, which must be strings; false when that was answered. */
static bool take_fields(struct exchange *x, struct json_object *object, struct field *fields,
                        size_t count)
{
    char text[128];
    for (size_t i = 0; i < count; i++) {
        struct field *f = &fields[i];
        enum json_get got = json_get_text(object, f->name, &f->text.p, &f->text.n);
        if (got == JSON_OK)
            continue;
        snprintf(text, sizeof(text), "\"%s\" %s", f->name,
                 got == JSON_ABSENT ? "is missing" : "must be a string");
        exchange_error(x, 400, text);
        return false;
    }
    return true;
}

/* --- POST /register, POST /login, POST /password, POST /logout --- */

static const char *username_error(struct http_text t)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    bool good = t.n >= 1 && t.n <= MAX_USERNAME;
    for (size_t i = 0; good && i < t.n; i++)
        good = t.p[i] && strchr(allowed, t.p[i]);
    return good ? NULL
                : "\"username\" must be 1 to 32 letters, digits, dots, underscores or hyphens";
}

/* Whether mail arrives is for a mail to find out; this refuses what cannot be an address. */
static const char *email_error(struct http_text t)
{
    const char *at = memchr(t.p, '@', t.n);
    const char *end = t.p + t.n;
    bool good = t.n <= MAX_EMAIL && at && at > t.p && at + 1 < end &&
                !memchr(at + 1, '@', (size_t)(end - at - 1));
    for (size_t i = 0; good && i < t.n; i++)
        good = (unsigned char)t.p[i] > ' ' && t.p[i] != 0x7f;
    return good ? NULL : "\"email\" must be an address such as name@example.com, at most 254 bytes";
}

static bool password_acceptable(struct exchange *x, const struct field *f, int least)
{
    char text[96];
    if (f->text.n > MAX_PASSWORD)
        snprintf(text, sizeof(text), "\"%s\" must have at most 72 bytes: bcrypt reads no more",
                 f->name);
    else if (f->text.n < (size_t)least)
        snprintf(text, sizeof(text), "\"%s\" must have at least %d bytes", f->name, least);
    else
        return true;
    exchange_error(x, 400, text);
    return false;
}

static void put_text(struct exchange *x, struct http_text t)
{
    ipc_put_text(&x->ask->channel.out, t.p, t.n);
}

/* True if the broker can be asked; otherwise that was answered. */
static bool broker_there(struct exchange *x)
{
    enum ipc_error error = ask_require(x->ask);
    if (error)
        exchange_failure(x, error);
    return !error;
}

static void register_with(struct exchange *x, struct json_object *object)
{
    struct field f[] = {{.name = "username"}, {.name = "email"}, {.name = "password"}};
    if (!take_fields(x, object, f, 3))
        return;
    const char *wrong = username_error(f[0].text);
    if (!wrong)
        wrong = email_error(f[1].text);
    if (wrong) {
        exchange_error(x, 400, wrong);
        return;
    }
    if (!password_acceptable(x, &f[2], x->conf->min_password) || !broker_there(x))
        return;
    size_t begin = ask_begin(x->ask, IPC_REGISTER);
    for (size_t i = 0; i < 3; i++)
        put_text(x, f[i].text);
    forward_reply(x, begin);
}

static void login_with(struct exchange *x, struct json_object *object)
{
    struct field f[] = {{.name = "username"}, {.name = "password"}};
    if (!take_fields(x, object, f, 2) || !password_acceptable(x, &f[1], 0) || !broker_there(x))
        return;
    /* A name that nobody can have is asked for all the same, so that it takes the same time. */
    if (username_error(f[0].text))
        f[0].text = (struct http_text){"", 0};
    size_t begin = ask_begin(x->ask, IPC_LOGIN);
    put_text(x, f[0].text);
    put_text(x, f[1].text);
    forward_reply(x, begin);
}

static void with_body(struct exchange *x, void (*handle)(struct exchange *, struct json_object *))
{
    struct json_object *object = body_object(x);
    if (!object)
        return;
    handle(x, object);
    json_object_put(object);
}

static void serve_register(struct exchange *x)
{
    with_body(x, register_with);
}

static void serve_login(struct exchange *x)
{
    with_body(x, login_with);
}

static void change_password_with(struct exchange *x, struct json_object *object)
{
    struct field f[] = {{.name = "password"}, {.name = "new_password"}};
    if (!take_fields(x, object, f, 2) || !password_acceptable(x, &f[0], 0) ||
        !password_acceptable(x, &f[1], x->conf->min_password))
        return;
    size_t begin = ask_begin(x->ask, IPC_PASSWORD);
    put_text(x, f[0].text);
    put_text(x, f[1].text);
    forward_reply(x, begin);
}

static void serve_password(struct exchange *x)
{
    if (exchange_authenticated(x))
        with_body(x, change_password_with);
}

static void serve_logout(struct exchange *x)
{
    if (exchange_authenticated(x))
        forward_reply(x, ask_begin(x->ask, IPC_LOGOUT));
}

/* --- GET /users, GET /messages/:userId --- */

static void serve_users(struct exchange *x)
{
    if (exchange_authenticated(x))
        forward_reply(x, ask_begin(x->ask, IPC_USERS));
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
    forward_reply(x, begin);
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
    while (error == IPC_E_UNAVAILABLE && x->ask->channel.fd < 0 && clock_ms() < deadline &&
           !client_stop) {
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
        with_body(x, send_with);
}

/* --- routes --- */

struct route {
    const char *path; /* one that ends in '/' has one more segment */
    const char *method;
    const char *allow;
    void (*serve)(struct exchange *x);
};

static const struct route routes[] = {
    {"/register", "POST", "POST, OPTIONS", serve_register},
    {"/login", "POST", "POST, OPTIONS", serve_login},
    {"/password", "POST", "POST, OPTIONS", serve_password},
    {"/logout", "POST", "POST, OPTIONS", serve_logout},
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

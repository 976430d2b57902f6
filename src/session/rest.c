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
#include "rest_conversations.h"
#include "rest_lists.h"
#include "rest_target.h"
#include "stream.h"
#include "upgrade.h"
#include "utf8.h"

/* --- POST /messages --- */

enum { MAX_KEY = IPC_MAX_ID };

struct message {
    char made_up[32];
    struct text id; /* the client's, or made_up */
    struct text content;
    int64_t receiver;
};

static const char *read_message(const struct exchange *x, struct json_object *object,
                                struct message *m)
{
    const struct text *key = http_request_field(&x->request, "Idempotency-Key");
    if (key && (key->n < 1 || key->n > MAX_KEY))
        return "The field Idempotency-Key must have 1 to 64 bytes";
    if (key && !utf8_valid((const uint8_t *)key->p, key->n))
        return "The field Idempotency-Key must be UTF-8";
    if (!key)
        random_hex(m->made_up, sizeof(m->made_up) / 2); /* nobody's other message has it */
    m->id = key ? *key : (struct text){m->made_up, sizeof(m->made_up)};
    if (json_get_text(object, "content", &m->content) != JSON_OK)
        return "\"content\" must be a string";
    if (json_get_id(object, "receiver_id", &m->receiver) != JSON_OK)
        return "\"receiver_id\" must be a user id, a whole number above zero";
    return chat_content_error(m->content.n, x->conf->max_content);
}

static enum ipc_error ask_send(struct ask *a, const struct message *m, bool again,
                               struct ipc_message *answer)
{
    size_t begin = ask_begin(a, IPC_SEND);
    ipc_put_u64(&a->channel.out, (uint64_t)m->receiver);
    ipc_put_text(&a->channel.out, m->id.p, m->id.n);
    ipc_put_text(&a->channel.out, m->content.p, m->content.n);
    ipc_put_u8(&a->channel.out, again);
    return ask_end(a, begin, IPC_SENT, answer);
}

/* A broker that dies meanwhile takes nothing with it: the message goes to the next one, under the
 * same id. */
static enum ipc_error send_message(struct exchange *x, const struct message *m,
                                   struct ipc_message *answer)
{
    int64_t deadline = clock_ms() + x->conf->request_timeout;
    struct text token = exchange_bearer(x);
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
        exchange_error(x, m.content.n > x->conf->max_content ? 413 : 400, wrong);
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
    const char *path; /* ':' stands for any one segment */
    const char *method;
    const char *allow;
    void (*serve)(struct exchange *x);
};

static const struct route routes[] = {
    {"/register", "POST", "POST, OPTIONS", rest_register},
    {"/login", "POST", "POST, OPTIONS", rest_login},
    {"/password", "POST", "POST, OPTIONS", rest_password},
    {"/logout", "POST", "POST, OPTIONS", rest_logout},
    {"/me", "GET", "GET, HEAD, PATCH, OPTIONS", rest_me},
    {"/me", "PATCH", "GET, HEAD, PATCH, OPTIONS", rest_change_me},
    {"/me/blocks", "GET", "GET, HEAD, OPTIONS", rest_blocks},
    {"/users", "GET", "GET, HEAD, OPTIONS", rest_users},
    {"/users/:/block", "PUT", "PUT, DELETE, OPTIONS", rest_block},
    {"/users/:/block", "DELETE", "PUT, DELETE, OPTIONS", rest_unblock},
    {"/messages", "POST", "POST, OPTIONS", serve_send},
    {"/messages/:", "GET", "GET, HEAD, OPTIONS", rest_history},
    {"/conversations", "GET", "GET, HEAD, OPTIONS", rest_conversations},
    {"/conversations/:", "GET", "GET, HEAD, OPTIONS", rest_conversation},
    {"/conversations/:/members", "GET", "GET, HEAD, OPTIONS", rest_members},
    {"/conversations/:/messages", "GET", "GET, HEAD, OPTIONS", rest_conversation_history},
    {"/conversations/:/read", "PUT", "PUT, OPTIONS", rest_read},
    {"/events", "GET", "GET, OPTIONS", stream_serve},
    {"/ws", "GET", "GET, OPTIONS", upgrade_serve},
};

static bool method_known(struct text method)
{
    static const char *const known[] = {"GET",    "HEAD",  "POST",    "PUT",
                                        "DELETE", "PATCH", "OPTIONS", "TRACE"};
    for (size_t i = 0; i < sizeof(known) / sizeof(known[0]); i++)
        if (http_text_is(method, known[i]))
            return true;
    return false;
}

static bool method_fits(const struct route *route, struct text method)
{
    bool shown = strcmp(route->method, "GET") == 0 && strstr(route->allow, "HEAD");
    return http_text_is(method, route->method) || (shown && http_text_is(method, "HEAD"));
}

/* The one with this path and method; with the path alone if there is none; or NULL. */
static const struct route *find_route(const struct http_request *r)
{
    const struct route *found = NULL;
    for (size_t i = 0; i < sizeof(routes) / sizeof(routes[0]); i++) {
        if (!rest_path_fits(routes[i].path, r->path))
            continue;
        found = &routes[i];
        if (method_fits(found, r->method))
            break;
    }
    return found;
}

/* Plain HTTP that came over a network, where there is HTTPS for it. */
static bool redirect_wanted(const struct exchange *x)
{
    const struct client *c = x->client;
    return x->conf->https_redirect && !c->tls && !c->local;
}

void rest_serve(struct exchange *x)
{
    struct text method = x->request.method;
    if (redirect_wanted(x)) {
        exchange_redirect(x);
        return;
    }
    if (!method_known(method)) {
        exchange_error(x, 501, "This method is not implemented");
        return;
    }
    if (http_text_is(x->request.target, "*")) {
        exchange_options(x, "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
        return;
    }
    const struct route *route = find_route(&x->request);
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

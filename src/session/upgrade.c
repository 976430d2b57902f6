/* The WebSocket handshake; see upgrade.h. */
#include "upgrade.h"

#include <string.h>
#include <time.h>

#include "close_code.h"
#include "ws.h"

#define PROTOCOL      "chatd.v1"
#define BEARER_PREFIX "bearer."

/* Subprotocols are compared as they are, unlike most tokens (RFC 6455 4.1). */
static bool offers_protocol(const struct http_request *r)
{
    struct http_list list = {.r = r, .name = "Sec-WebSocket-Protocol"};
    struct text t;
    while (http_list_next(&list, &t))
        if (http_text_is(t, PROTOCOL))
            return true;
    return false;
}

/* Finds the first offered subprotocol that begins with the text, and returns its rest; p is NULL if
 * none does. */
static struct text find_protocol(const struct http_request *r, const char *text)
{
    struct http_list list = {.r = r, .name = "Sec-WebSocket-Protocol"};
    struct text t;
    size_t n = strlen(text);
    while (http_list_next(&list, &t))
        if (t.n >= n && memcmp(t.p, text, n) == 0)
            return (struct text){t.p + n, t.n - n};
    return (struct text){NULL, 0};
}

/* The token: from Authorization, or, since a browser cannot set that, from a subprotocol. */
static struct text find_token(const struct exchange *x)
{
    if (http_request_field(&x->request, "Authorization"))
        return exchange_bearer(x);
    return find_protocol(&x->request, BEARER_PREFIX);
}

/* If a handshake is refused, a page sees neither status nor text. So if the client offers our
 * subprotocol, and sends no Authorization, which pages cannot set, we accept the handshake, and a
 * close frame says what is wrong. */
static bool sees_no_status(const struct exchange *x)
{
    return offers_protocol(&x->request) && !http_request_field(&x->request, "Authorization");
}

static void accept_handshake(struct exchange *x)
{
    bool found = offers_protocol(&x->request);
    if (x->conf->websocket_deflate == CONF_OFF)
        x->next.deflate.on = false;
    ws_handshake_accept(&x->client->out, &x->request, found ? PROTOCOL : NULL, &x->next.deflate,
                        time(NULL));
    x->answered = true;
}

static void close_at_once(struct exchange *x, int status, const char *reason)
{
    accept_handshake(x);
    ws_put_close(&x->client->out, close_code_of(status), reason);
    x->close = true;
}

static void refuse(struct exchange *x, int status, const char *text)
{
    if (sees_no_status(x))
        close_at_once(x, status, text);
    else
        exchange_error(x, status, text);
}

static void refuse_for(struct exchange *x, enum ipc_error error)
{
    if (sees_no_status(x))
        close_at_once(x, ipc_failure(error)->status, ipc_failure(error)->text);
    else
        exchange_failure(x, error);
}

/* True if the handshake is valid and we want it; otherwise it was answered. An invalid one gets a
 * status, even if the client cannot see it. */
static bool check_handshake(struct exchange *x)
{
    const char *error;
    int status = ws_handshake_check(&x->request, &x->next.deflate, &error);
    if (status != 0)
        exchange_error(x, status, error);
    else if (!offers_protocol(&x->request) && find_protocol(&x->request, BEARER_PREFIX).p)
        exchange_error(x, 400,
                       "Offer the subprotocol chatd.v1 beside bearer.TOKEN: a browser "
                       "wants one that the server can select");
    else if (client_stop)
        refuse(x, 503, "The server is restarting; try again");
    else if (!exchange_origin_allowed(x))
        refuse(x, 403, EXCHANGE_BAD_ORIGIN);
    else
        return true;
    return false;
}

void upgrade_serve(struct exchange *x)
{
    if (!check_handshake(x))
        return;
    struct text token = find_token(x), cursor = exchange_query(x, "cursor");
    if (token.p) {
        enum ipc_error error = exchange_attach(x, token, cursor);
        if (error) {
            refuse_for(x, error);
            return;
        }
    } else if (sees_no_status(x)) {
        ask_close(x->ask); /* it may be bound to the user of an earlier request */
        exchange_attach_later(x, cursor);
    } else {
        exchange_error(x, 401,
                       "A token is missing: send \"Authorization: Bearer TOKEN\", or offer the "
                       "subprotocol chatd.v1, with bearer.TOKEN or an auth frame");
        return;
    }
    accept_handshake(x);
    x->next.kind = NEXT_WEBSOCKET;
}

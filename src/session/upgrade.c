/* The WebSocket handshake; see upgrade.h. */
#include "upgrade.h"

#include <string.h>
#include <time.h>

#include "ws.h"

#define PROTOCOL      "chatd.v1"
#define BEARER_PREFIX "bearer."

/* The first of the offered subprotocols that starts with, or with whole set equals, the text. */
static struct http_text find_protocol(const struct http_request *r, const char *text, bool whole)
{
    size_t n = strlen(text);
    for (size_t i = 0; i < r->field_count; i++) {
        if (!http_text_is_nocase(r->fields[i].name, "Sec-WebSocket-Protocol"))
            continue;
        const char *p = r->fields[i].value.p, *end = p + r->fields[i].value.n;
        while (p < end) {
            while (p < end && (*p == ' ' || *p == '\t' || *p == ','))
                p++;
            const char *start = p;
            while (p < end && *p != ' ' && *p != '\t' && *p != ',')
                p++;
            size_t size = (size_t)(p - start);
            if ((whole ? size == n : size > n) && memcmp(start, text, n) == 0)
                return (struct http_text){start, size};
        }
    }
    return (struct http_text){NULL, 0};
}

/* The token: from Authorization, or, since a browser cannot set that, from a subprotocol. */
static struct http_text find_token(const struct exchange *x)
{
    if (http_request_field(&x->request, "Authorization"))
        return exchange_bearer(x);
    struct http_text t = find_protocol(&x->request, BEARER_PREFIX, false);
    if (t.p) {
        t.p += strlen(BEARER_PREFIX);
        t.n -= strlen(BEARER_PREFIX);
    }
    return t;
}

/* Is this a handshake? Otherwise it was answered. */
static bool check_handshake(struct exchange *x)
{
    const char *error;
    int status = ws_handshake_check(&x->request, &x->next.deflate, &error);
    if (client_stop)
        exchange_error(x, 503, "The server is restarting; try again");
    else if (status != 0)
        exchange_error(x, status, error);
    else
        return exchange_origin_allowed(x);
    return false;
}

static void switch_protocols(struct exchange *x)
{
    bool found = find_protocol(&x->request, PROTOCOL, true).p;
    if (x->conf->websocket_deflate == CONF_OFF)
        x->next.deflate.on = false;
    ws_handshake_accept(&x->client->out, &x->request, found ? PROTOCOL : NULL, &x->next.deflate,
                        time(NULL));
    x->answered = true;
    x->next.kind = NEXT_WEBSOCKET;
}

void upgrade_serve(struct exchange *x)
{
    if (!check_handshake(x))
        return;
    struct http_text token = find_token(x);
    if (!token.p) {
        exchange_error(x, 401,
                       "A token is missing: send \"Authorization: Bearer TOKEN\", or offer "
                       "the subprotocols chatd.v1 and bearer.TOKEN");
        return;
    }
    enum ipc_error error = ask_authenticate(x->ask, token.p, token.n);
    if (!error)
        error = exchange_attach(x, exchange_query(x, "cursor"));
    if (error)
        exchange_failure(x, error);
    else
        switch_protocols(x);
}

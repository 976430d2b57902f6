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
    const struct http_request *r = &x->request;
    const struct http_text *key = http_request_field(r, "Sec-WebSocket-Key");
    const struct http_text *version = http_request_field(r, "Sec-WebSocket-Version");
    if (client_stop)
        exchange_error(x, 503, "The server is restarting; try again");
    else if (r->minor < 1 || x->close || !http_request_has_token(r, "Upgrade", "websocket") ||
             !http_request_has_token(r, "Connection", "upgrade"))
        exchange_error(x, 426,
                       "This is a WebSocket: send Connection: Upgrade and "
                       "Upgrade: websocket");
    else if (!version || !http_text_is(*version, "13") ||
             http_request_field_count(r, "Sec-WebSocket-Version") != 1)
        exchange_error(x, 426, "Sec-WebSocket-Version must be 13");
    else if (!key || http_request_field_count(r, "Sec-WebSocket-Key") != 1 ||
             !ws_key_valid(key->p, key->n))
        exchange_error(x, 400, "Sec-WebSocket-Key must be the base64 form of 16 bytes");
    else
        return exchange_origin_allowed(x);
    return false;
}

static void switch_protocols(struct exchange *x)
{
    const struct http_text *key = http_request_field(&x->request, "Sec-WebSocket-Key");
    struct buf *out = &x->client->out;
    char accept[29];
    ws_accept_key(key->p, key->n, accept);
    http_response_begin(out, 101, time(NULL));
    http_response_field(out, "Upgrade", "websocket");
    http_response_field(out, "Connection", "Upgrade");
    http_response_field(out, "Sec-WebSocket-Accept", accept);
    if (find_protocol(&x->request, PROTOCOL, true).p)
        http_response_field(out, "Sec-WebSocket-Protocol", PROTOCOL);
    http_response_end(out);
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

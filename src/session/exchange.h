/* One request and its response: what the handlers work with, and the ways to answer. */
#ifndef EXCHANGE_H
#define EXCHANGE_H

#include "ask.h"
#include "client.h"
#include "http.h"

struct exchange {
    const struct conf *conf;
    struct client *client;
    struct ask *ask;
    struct http_request request; /* views into head */
    struct buf head, body;
    bool close;    /* the connection ends after this response */
    bool answered; /* a response was written */
    bool upgraded; /* it is a WebSocket from now on */
};

/* The token of the one Authorization field, if that is of the scheme Bearer (RFC 6750); p is NULL
 * otherwise. */
struct http_text exchange_bearer(const struct exchange *x);

/* Writes a response with a JSON body (n bytes; only its length if the method is HEAD). */
void exchange_reply(struct exchange *x, int status, const char *json, size_t n);

/* Writes {"error": text}. allow: for 405, the methods; otherwise NULL. */
void exchange_error(struct exchange *x, int status, const char *text);
void exchange_not_allowed(struct exchange *x, const char *allow);

/* As exchange_error(), for what the broker said or did not say. */
void exchange_failure(struct exchange *x, enum ipc_error error);

/* The answer to OPTIONS: what is allowed here, for HTTP and for CORS. */
void exchange_options(struct exchange *x, const char *allow);

/* May pages of this request's Origin use the server? True without Origin: it is not a browser. */
bool exchange_origin_allowed(const struct exchange *x);

#endif

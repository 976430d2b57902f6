/* One request and its response: what the handlers work with, and the ways to answer. */
#ifndef EXCHANGE_H
#define EXCHANGE_H

#include "ask.h"
#include "client.h"
#include "http.h"
#include "next.h"

#define EXCHANGE_BAD_ORIGIN                                                                        \
    "Pages of this Origin may not connect; see cors_origins in chatd.conf(5)"

struct exchange {
    const struct conf *conf;
    struct client *client;
    struct ask *ask;
    struct http_request request; /* views into head */
    struct buf head, body;
    bool close;         /* the connection ends after this response */
    bool answered;      /* a response was written */
    bool token_refused; /* the token was invalid: 401 says so (RFC 6750 section 3) */
    char link[128];     /* the response's field Link; empty: none */
    int retry_after;    /* seconds, for status 429; 0: a minute */
    struct next next;   /* after this response */
};

/* The token of the Authorization field, if that is of the scheme Bearer (RFC 6750); p is NULL
 * otherwise. */
struct text exchange_bearer(const struct exchange *x);

/* Binds the channel to the owner of the token in Authorization; on failure answers, and returns
 * false. */
bool exchange_authenticated(struct exchange *x);

/* The raw value of the first query parameter with this name; p is NULL if there is none. */
struct text exchange_query(const struct exchange *x, const char *name);

/* Brings the owner of the token online, by the next broker if this one dies meanwhile, or ends the
 * channel because the account was disabled. Everything after the cursor follows, p NULL: from now
 * on. Sets next.start. */
enum ipc_error exchange_attach(struct exchange *x, struct text token, struct text cursor);

/* As exchange_attach(), for a client that signs in later: keeps the cursor until then. */
void exchange_attach_later(struct exchange *x, struct text cursor);

/* Begins a response: the status line and the fields that all responses share. */
void exchange_begin(struct exchange *x, int status);

/* As exchange_begin(), with the fields that all JSON bodies share. */
void exchange_begin_json(struct exchange *x, int status);

/* Writes a response with a JSON body (n bytes; only its length if the method is HEAD). */
void exchange_reply(struct exchange *x, int status, const char *json, size_t n);

/* Writes a response without a body: status 204. */
void exchange_no_content(struct exchange *x);

/* Writes {"error": text}; exchange_error_with() adds a header field. */
void exchange_error(struct exchange *x, int status, const char *text);
void exchange_error_with(struct exchange *x, int status, const char *text, const char *name,
                         const char *value);

/* As exchange_error(), for a question to the broker that failed. */
void exchange_failure(struct exchange *x, enum ipc_error error);

/* Redirects the client to the same path and query with https, on port https_redirect. */
void exchange_redirect(struct exchange *x);

/* The answer to OPTIONS: what is allowed here, for HTTP and for CORS. */
void exchange_options(struct exchange *x, const char *allow);

/* May pages of this request's Origin bring a user online? True without Origin: browsers send it
 * with every WebSocket handshake and every cross-origin request that may carry a token. */
bool exchange_origin_allowed(const struct exchange *x);

#endif

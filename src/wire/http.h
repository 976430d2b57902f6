/*
 * HTTP/1.1 as a server reads and writes it (RFC 9110, RFC 9112), without I/O.
 *
 * A session passes in what its socket gave, gets a request or a refusal, reads the body, and writes
 * a response head. Every byte is hostile until checked here. Anything that two parsers could read
 * differently (bare LF, folded fields, doubled lengths, spaces before a colon) is refused, never
 * repaired: behind a proxy, repairs let one request smuggle in another. A refusal depends on the
 * bytes alone, not on how they were split.
 */
#ifndef HTTP_H
#define HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "text.h"

struct buf;

enum { HTTP_MAX_FIELDS = 100 };

/* One request head. All views point into the bytes that were parsed, or to static text. */
struct http_request {
    struct text method, target; /* as sent */
    struct text path;           /* as sent, without the query; empty for CONNECT */
    struct text query;          /* without its '?'; empty if there is none */
    int minor;                  /* HTTP/1.minor: 0 or 1; later ones count as 1 */
    struct {
        struct text name, value;
    } fields[HTTP_MAX_FIELDS];
    size_t field_count;
    struct text host;       /* of an absolute target, else of the field Host; may be empty */
    int64_t content_length; /* -1: none given */
    bool chunked, keep_alive, expect_continue;
    const char *error; /* on refusal: static text with fault and remedy */
};

/* Parses the head of a request from the first of len bytes on; *r needs no preparation. Call it
 * again with the same bytes and more as long as it returns 0, for the head may take max_head bytes.
 * Returns the length of the head with its empty line, 0 if it is incomplete, or minus the status to
 * refuse with; r->error then says why, and *r has what was parsed so far. */
long http_request_parse(const uint8_t *data, size_t len, size_t max_head, struct http_request *r);

/* The value of the first field of this name (in any case), or NULL. */
const struct text *http_request_field(const struct http_request *r, const char *name);

/* How many fields have this name (in any case). */
size_t http_request_field_count(const struct http_request *r, const char *name);

/* The comma-separated list that all fields of one name form (RFC 9110 5.6.1); Set request and name,
 * and zero the rest, to begin. */
struct http_list {
    const struct http_request *r;
    const char *name;
    size_t next; /* the field after the one that rest belongs to */
    struct text rest;
};

/* The next element, without blanks around it. False after the last one. Skips empty elements, which
 * do not count. */
bool http_list_next(struct http_list *l, struct text *element);

/* Whether that list has the token as an element, in any case. */
bool http_request_has_token(const struct http_request *r, const char *name, const char *token);

/* Takes the first parameter, ";" name ["=" value], with spaces around its parts, off *rest. Returns
 * 1, or 0 when nothing but spaces is left, or -1 if that is malformed. value->p is NULL without a
 * value; that of a quoted string is what stands between the quotes. */
int http_parameter_next(struct text *rest, struct text *name, struct text *value);

/* How many bytes at the start of the text can be part of a token (RFC 9110 5.6.2). */
size_t http_token_len(struct text t);

/* Whether the media type, in any case, is in the list of Accept, and not with a weight of zero. */
bool http_request_accepts(const struct http_request *r, const char *type);

/* Whether the text is s; in any case (ASCII). */
bool http_text_is(struct text t, const char *s);
bool http_text_is_nocase(struct text t, const char *s);

/* The reader of one request's body; its members are its own. */
struct http_body {
    enum {
        HTTP_BODY_FIXED,
        HTTP_BODY_CHUNK_SIZE,
        HTTP_BODY_CHUNK_DATA,
        HTTP_BODY_CHUNK_END,
        HTTP_BODY_TRAILER,
        HTTP_BODY_DONE
    } state;
    uint64_t left;          /* bytes still to come: of the body, or of the present chunk */
    uint64_t total;         /* bytes of payload passed on */
    size_t extension_bytes; /* of the extensions of chunks dropped so far */
    size_t trailer_bytes;   /* of trailer fields dropped so far */
};

/* Begins the body that follows the head of *r, which is not needed afterwards. */
void http_body_init(struct http_body *body, const struct http_request *r);

/* Moves what is there of the body from in to out, payload only, and leaves in *in what follows
 * the body. Returns 1 when it is complete, 0 when it needs more input, or minus the status to
 * refuse with (400; 413 for more than max_body bytes; 431 for endless trailers); *error is then
 * static text that says why. A refused body stays refused. */
int http_body_read(struct http_body *body, struct buf *in, struct buf *out, size_t max_body,
                   const char **error);

/* The reason phrase of a status; "Unknown" for one that chatd never sends. */
const char *http_status_text(int status);

/* Appends the status line and the field Date, for the time now. */
void http_response_begin(struct buf *out, int status, time_t now);

/* Appends one field. Control characters in the value become spaces, so that no value, wherever it
 * came from, can end its line and begin another. */
void http_response_field(struct buf *out, const char *name, const char *value);
void http_response_fieldf(struct buf *out, const char *name, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* Appends the empty line that ends the head. */
void http_response_end(struct buf *out);

/* Appends n bytes of a body as one chunk (RFC 9112 section 7.1); 0: the last one. */
void http_response_chunk(struct buf *out, const void *p, size_t n);

#endif

/*
 * Requests to the server, and what it answers, over libcurl.
 *
 * An answer is hostile until it is checked: its size is bounded, its JSON is checked before it is
 * parsed, redirections are not followed, and a certificate that does not verify ends the program.
 */
#ifndef REQUEST_H
#define REQUEST_H

#include <curl/curl.h>
#include <stdbool.h>

#include "buf.h"

struct login;
struct json_object;

struct request {
    const char *method;
    const char *path;       /* with its query */
    const struct buf *body; /* JSON; NULL: none */
    const char *key;        /* Idempotency-Key; NULL: none */
};

struct answer {
    long status; /* 0: none came */
    struct buf body;
    long retry_after; /* seconds that the server asks to wait; 0: it does not */
    char next[256];   /* query of the next page, with its '?'; "": this is the last one */
    bool fatal;       /* no answer, and none will come: the URL, or the certificate, is wrong */
    char error[CURL_ERROR_SIZE]; /* why none came */
};

/* Requests go to this server from now on, with its token if it has one. l must stay. */
void request_init(const struct login *l);

/* Asks once. False if no answer came; a->error then says why. The caller frees the answer. */
bool request_try(const struct request *r, struct answer *a);
void answer_free(struct answer *a);

/* Should the same request be sent again, later? */
bool answer_temporary(const struct answer *a);

/* Was it a success? And if not, what the server says, or why nothing came. */
bool answer_good(const struct answer *a);
void answer_words(const struct answer *a, char *out, size_t size);

/* Ends the program with what the server says if it is no success. */
void answer_check(const struct answer *a);

/* The body. Ends the program if it is not what chatd answers. For json_object_put(). */
struct json_object *answer_object(const struct answer *a);
struct json_object *answer_array(const struct answer *a);

/* Asks, checks, and gives the object or the array; *next, of 256 bytes, is as in struct answer and
 * may be NULL. */
struct json_object *request_object(const char *method, const char *path, const struct buf *body);
struct json_object *request_array(const char *path, char *next);

/* Asks and checks where the answer has no body. */
void request_plain(const char *method, const char *path);

/* The same in two steps, for who waits for several answers at once: a handle for curl_multi, whose
 * request, fields and answer must stay until it is done, and what has become of it then. The caller
 * frees the handle and the fields. */
CURL *request_begin(const struct request *r, struct answer *a, struct curl_slist **fields);
void request_end(CURL *curl, CURLcode code, struct answer *a);

/* For CURLOPT_WRITEFUNCTION: appends what comes to the struct buf that CURLOPT_WRITEDATA names;
 * fails above 64 MiB, whether that is an answer or a line of the stream. */
size_t request_take(char *data, size_t size, size_t count, void *arg);

/* A handle with all that every request has, and its fields, for curl_slist_free_all(). For streams.
 */
CURL *request_handle(const char *path, struct curl_slist **fields);

/* Seconds that the server asks to wait, at most a day; 0: it does not. */
long request_retry_after(CURL *curl);

/* Appends a text as a query or a path has it. */
void request_escape(struct buf *out, struct text t);

#endif

/*
 * JSON from a client and JSON to it.
 *
 * json-c takes more than JSON (NaN, single quotes, raw control characters, surrogates), so a strict
 * checker of RFC 8259 reads every text first, and json-c sees only what passed. It also refuses NUL
 * (PostgreSQL's text cannot hold it), half a surrogate pair, and nesting deeper than any frame of
 * ours. Called by sessions, and by chat(1) for what a server answers.
 */
#ifndef JSON_H
#define JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "json_string.h"
#include "text.h"

struct json_object;

enum { JSON_MAX_DEPTH = 32 };

/* Whether n bytes are one JSON value, nested at most max_depth deep (at most 64; a number is 0
 * deep,
 * [] is 1). If not, *error is a static text for the client. Allocates nothing, does not recurse. */
bool json_check(const char *text, size_t n, int max_depth, const char **error);

/* Checks and parses a text. NULL, and *error as above, when it is not acceptable JSON or not an
 * object. The result is owned by the caller, for json_object_put(). */
struct json_object *json_parse_object(const char *text, size_t n, const char **error);

/* As json_parse_object(), for an array. */
struct json_object *json_parse_array(const char *text, size_t n, const char **error);

/* The result of looking up a member. A null has the wrong type. */
enum json_get { JSON_ABSENT, JSON_OK, JSON_WRONG_TYPE };

/* A string. It lies inside the object and ends in a NUL that text->n does not count. */
enum json_get json_get_text(struct json_object *object, const char *key, struct text *text);

/* Is the member there, and null? */
bool json_is_null(struct json_object *object, const char *key);

/* An id: a whole number above 0. Fractions, exponents and values out of range have the wrong
 * type. */
enum json_get json_get_id(struct json_object *object, const char *key, int64_t *id);

/* True or false. */
enum json_get json_get_bool(struct json_object *object, const char *key, bool *value);

/* An array of at most most ids; *count is how many there are. */
enum json_get json_get_ids(struct json_object *object, const char *key, int64_t *ids, size_t most,
                           size_t *count);

/* An object; *child belongs to the one that it was found in. */
enum json_get json_get_object(struct json_object *object, const char *key,
                              struct json_object **child);

#endif

/* What a request's target names: segments of its path, and parameters that are numbers. */
#ifndef REST_TARGET_H
#define REST_TARGET_H

#include "exchange.h"

/* Does the path fit the pattern? A ':' there stands for one segment, which is not empty. */
bool rest_path_fits(const char *pattern, struct text path);

/* Reads an id, a whole number above zero, from this segment of the path; the first is 0. */
bool rest_path_id(const struct exchange *x, unsigned segment, uint64_t *id);

/* Reads the text of this segment, percent-encoded, as far as it fits; the result is its size. */
size_t rest_path_text(const struct exchange *x, unsigned segment, char *text, size_t size);

/* The next character of a percent-encoded text (RFC 3986 section 2.1), which is not empty. */
char rest_take_character(struct text *t);

/* The same as rest_path_id() from the second segment, as in /users/:id. NULL, or what is wrong. */
const char *rest_path_named(const struct exchange *x, uint64_t *id);

/* A parameter of the query that is a number. */
struct bound {
    const char *name;
    uint64_t *value; /* stays as it is without the parameter */
    uint64_t least, most;
    const char *error;
};

/* Reads those parameters; others are ignored. NULL, or what is wrong. */
const char *rest_read_bounds(const struct exchange *x, const struct bound *bounds, size_t count);

#endif

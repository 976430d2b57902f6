/* Members of what a server has sent, which may be missing or of another type: then they are as
 * empty. */
#ifndef MEMBER_H
#define MEMBER_H

#include <stdbool.h>
#include <stdint.h>

#include "text.h"

struct json_object;

/* A text, which lies in the object and ends in a NUL; otherwise "". */
struct text member_text(struct json_object *o, const char *key);

/* An id, or a number; otherwise 0. */
int64_t member_id(struct json_object *o, const char *key);

/* Is it there, and true? */
bool member_true(struct json_object *o, const char *key);

/* An array; otherwise NULL. */
struct json_object *member_array(struct json_object *o, const char *key);

#endif

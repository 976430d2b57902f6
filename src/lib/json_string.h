/* Texts as JSON strings (RFC 8259 section 7). */
#ifndef JSON_STRING_H
#define JSON_STRING_H

#include "buf.h"

/* Appends n bytes of valid UTF-8 as a JSON string, with its quotes. */
void json_put_string(struct buf *out, const char *s, size_t n);

#endif

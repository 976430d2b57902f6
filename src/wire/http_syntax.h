/*
 * The grammar that request heads, chunk lines and trailers share. For http_*.c only.
 */
#ifndef HTTP_SYNTAX_H
#define HTTP_SYNTAX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http.h"

enum { HTTP_LINE_BAD = -1, HTTP_LINE_MORE = 0, HTTP_LINE_WHOLE = 1 };

/* Looks for the line at the start of n bytes. *line becomes its text without CRLF, or the text
 * so far if its end is missing (HTTP_LINE_MORE). HTTP_LINE_BAD: a NUL, or a CR or LF on its own. */
int http_line_cut(const uint8_t *p, size_t n, struct text *line, const char **error);

/* Splits a field line into name and value. False, with *error, if it is not one. */
bool http_field_split(struct text line, struct text *name, struct text *value, const char **error);

/* The text without spaces and tabs at both ends. */
struct text http_text_trim(struct text t);

/* Whether all bytes may stand in a field value: no controls but HTAB. */
bool http_text_is_printable(struct text t);

/* Whether the text is uri-host [":" port] (RFC 3986), or empty. */
bool http_host_is_valid(struct text t);

#endif

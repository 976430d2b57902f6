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
int http_line_cut(const uint8_t *p, size_t n, struct http_text *line, const char **error);

/* Splits a field line into name and value. False, with *error, if it is not one. */
bool http_field_split(struct http_text line, struct http_text *name, struct http_text *value,
                      const char **error);

/* Takes the first element off a comma-separated list, which may be an empty one. False when no
 * element is left; rest->p is then NULL. */
bool http_list_next(struct http_text *rest, struct http_text *element);

/* Takes the first parameter, ";" name ["=" value], with spaces around its parts, off *rest. Returns
 * 1, or 0 when nothing but spaces is left, or -1 if that is malformed. value->p is NULL without a
 * value; that of a quoted string is what stands between the quotes. */
int http_parameter_next(struct http_text *rest, struct http_text *name, struct http_text *value);

/* The text without spaces and tabs at both ends. */
struct http_text http_text_trim(struct http_text t);

/* How many bytes at the start of the text can be part of a token (RFC 9110 5.6.2). */
size_t http_token_len(struct http_text t);

/* Whether all bytes may stand in a field value: no controls but HTAB. */
bool http_text_is_printable(struct http_text t);

/* Whether the text is uri-host [":" port] (RFC 3986), or empty. */
bool http_host_is_valid(struct http_text t);

#endif

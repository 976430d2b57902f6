/*
 * The grammar that request heads, chunk lines and trailers share; see http_syntax.h.
 *
 * Compares characters by value, never by <ctype.h>: the locale must not decide where a field name
 * ends.
 */
#include "http_syntax.h"

#include <string.h>
#include <strings.h>

bool http_text_is(struct text t, const char *s)
{
    size_t n = strlen(s);
    return t.n == n && (n == 0 || memcmp(t.p, s, n) == 0);
}

bool http_text_is_nocase(struct text t, const char *s)
{
    size_t n = strlen(s);
    return t.n == n && (n == 0 || strncasecmp(t.p, s, n) == 0);
}

static bool is_digit(char c)
{
    return c >= '0' && c <= '9';
}

static bool is_hex(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
}

static bool is_alnum(char c)
{
    return is_digit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\t';
}

/* strchr() finds the NUL at the end of its set as well. */
static bool is_one_of(char c, const char *set)
{
    return c != '\0' && strchr(set, c);
}

int http_line_cut(const uint8_t *p, size_t n, struct text *line, const char **error)
{
    size_t i = 0;
    while (i < n && p[i] != '\r' && p[i] != '\n' && p[i] != '\0')
        i++;
    *line = (struct text){(const char *)p, i};
    if (i == n || (p[i] == '\r' && i + 1 == n))
        return HTTP_LINE_MORE;
    if (p[i] == '\r' && p[i + 1] == '\n')
        return HTTP_LINE_WHOLE;
    if (p[i] == '\0')
        *error = "a NUL byte: leave it out";
    else if (p[i] == '\n')
        *error = "a line ends with LF alone: end lines with CR LF";
    else
        *error = "a CR without LF: end lines with CR LF";
    return HTTP_LINE_BAD;
}

struct text http_text_trim(struct text t)
{
    while (t.n > 0 && is_blank(t.p[0])) {
        t.p++;
        t.n--;
    }
    while (t.n > 0 && is_blank(t.p[t.n - 1]))
        t.n--;
    return t;
}

size_t http_token_len(struct text t)
{
    size_t i = 0;
    while (i < t.n && (is_alnum(t.p[i]) || is_one_of(t.p[i], "!#$%&'*+-.^_`|~")))
        i++;
    return i;
}

bool http_text_is_printable(struct text t)
{
    for (size_t i = 0; i < t.n; i++) {
        unsigned char c = (unsigned char)t.p[i];
        if ((c < 0x20 && c != '\t') || c == 0x7f)
            return false;
    }
    return true;
}

bool http_field_split(struct text line, struct text *name, struct text *value, const char **error)
{
    if (line.n > 0 && is_blank(line.p[0])) {
        *error = "a header line begins with a space: do not fold fields, send each on one line";
        return false;
    }
    size_t n = http_token_len(line);
    if (n == 0 || n == line.n || line.p[n] != ':') {
        *error = "a header line is not \"name: value\": no spaces in or after the name";
        return false;
    }
    *name = (struct text){line.p, n};
    *value = http_text_trim((struct text){line.p + n + 1, line.n - n - 1});
    if (!http_text_is_printable(*value)) {
        *error = "a header field has a control character in its value: leave it out";
        return false;
    }
    return true;
}

/* Where the first element of a list ends; a comma between double quotes does not end it. */
static size_t element_len(struct text t)
{
    bool quoted = false;
    size_t i = 0;
    for (; i < t.n && (quoted || t.p[i] != ','); i++) {
        if (t.p[i] == '"')
            quoted = !quoted;
        else if (quoted && t.p[i] == '\\' && i + 1 < t.n)
            i++;
    }
    return i;
}

/* Goes on to the next field of the list. */
static bool next_field(struct http_list *l)
{
    while (l->next < l->r->field_count) {
        size_t i = l->next++;
        if (http_text_is_nocase(l->r->fields[i].name, l->name)) {
            l->rest = l->r->fields[i].value;
            return true;
        }
    }
    return false;
}

bool http_list_next(struct http_list *l, struct text *element)
{
    while (l->rest.n > 0 || next_field(l)) {
        size_t n = element_len(l->rest);
        struct text found = http_text_trim((struct text){l->rest.p, n});
        n += n < l->rest.n; /* the comma */
        l->rest = (struct text){l->rest.p + n, l->rest.n - n};
        if (found.n > 0) {
            *element = found;
            return true;
        }
    }
    return false;
}

static void skip_spaces(struct text *t)
{
    while (t->n > 0 && is_blank(t->p[0])) {
        t->p++;
        t->n--;
    }
}

static struct text cut(struct text *rest, size_t n)
{
    struct text t = {rest->p, n};
    rest->p += n;
    rest->n -= n;
    return t;
}

/* The length of the quoted string at the start, with its quotes, or 0 (RFC 9110 5.6.4). */
static size_t quoted_len(struct text t)
{
    for (size_t i = 1; i < t.n; i++) {
        if (t.p[i] == '"')
            return i + 1;
        if (t.p[i] == '\\')
            i++;
    }
    return 0;
}

static bool cut_value(struct text *rest, struct text *value)
{
    if (rest->n > 0 && rest->p[0] == '"') {
        size_t n = quoted_len(*rest);
        if (n == 0)
            return false;
        *value = cut(rest, n);
        *value = (struct text){value->p + 1, n - 2};
        return http_text_is_printable(*value);
    }
    *value = cut(rest, http_token_len(*rest));
    return value->n > 0;
}

int http_parameter_next(struct text *rest, struct text *name, struct text *value)
{
    *value = (struct text){NULL, 0};
    skip_spaces(rest);
    if (rest->n == 0)
        return 0;
    if (rest->p[0] != ';')
        return -1;
    cut(rest, 1);
    skip_spaces(rest);
    *name = cut(rest, http_token_len(*rest));
    if (name->n == 0)
        return -1;
    skip_spaces(rest);
    if (rest->n == 0 || rest->p[0] != '=')
        return 1;
    cut(rest, 1);
    skip_spaces(rest);
    return cut_value(rest, value) ? 1 : -1;
}

/* The length of "[" address "]" at the start, or 0. */
static size_t ip_literal_len(struct text t)
{
    size_t i = 1;
    while (i < t.n && (is_hex(t.p[i]) || t.p[i] == ':' || t.p[i] == '.'))
        i++;
    return i > 1 && i < t.n && t.p[i] == ']' ? i + 1 : 0;
}

/* Without the comma, which RFC 3986 allows: no host has one, and some proxies join two Host fields
 * by it. */
static size_t reg_name_len(struct text t)
{
    size_t i = 0;
    while (i < t.n) {
        if (is_alnum(t.p[i]) || is_one_of(t.p[i], "-._~!$&'()*+;="))
            i++;
        else if (t.p[i] == '%' && t.n - i > 2 && is_hex(t.p[i + 1]) && is_hex(t.p[i + 2]))
            i += 3;
        else
            break;
    }
    return i;
}

bool http_host_is_valid(struct text t)
{
    if (t.n == 0)
        return true;
    size_t i = t.p[0] == '[' ? ip_literal_len(t) : reg_name_len(t);
    if (i == 0)
        return false;
    if (i == t.n)
        return true;
    if (t.p[i] != ':')
        return false;
    while (++i < t.n)
        if (!is_digit(t.p[i]))
            return false;
    return true;
}

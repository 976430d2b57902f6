/* Targets of requests; see rest_target.h. */
#include "rest_target.h"

#include <string.h>

/* How many bytes come before the next '/', or the end. */
static size_t segment_len(struct text t)
{
    const char *slash = t.n > 0 ? memchr(t.p, '/', t.n) : NULL;
    return slash ? (size_t)(slash - t.p) : t.n;
}

bool rest_path_fits(const char *pattern, struct text path)
{
    for (; *pattern; pattern++) {
        bool any = *pattern == ':';
        size_t n = any ? segment_len(path) : 1;
        if (n == 0 || path.n == 0 || (!any && *path.p != *pattern))
            return false;
        path.p += n;
        path.n -= n;
    }
    return path.n == 0;
}

/* A whole number, in decimal digits only, up to 18 of them. */
static bool read_number(struct text t, uint64_t *v)
{
    *v = 0;
    for (size_t i = 0; i < t.n; i++) {
        if (t.p[i] < '0' || t.p[i] > '9')
            return false;
        *v = *v * 10 + (uint64_t)(t.p[i] - '0');
    }
    return t.n >= 1 && t.n <= 18;
}

/* The first segment is 0. */
static struct text segment_of(const struct exchange *x, unsigned segment)
{
    struct text t = x->request.path;
    for (unsigned i = 0; i <= segment && t.n > 0; i++) {
        size_t skip = i > 0 ? segment_len(t) + 1 : 1; /* the path begins with a '/' */
        skip = skip < t.n ? skip : t.n;
        t.p += skip;
        t.n -= skip;
    }
    t.n = segment_len(t);
    return t;
}

bool rest_path_id(const struct exchange *x, unsigned segment, uint64_t *id)
{
    return read_number(segment_of(x, segment), id) && *id > 0;
}

static int hex_digit(char c)
{
    const char *digits = "0123456789abcdef",
               *at = strchr(digits, c >= 'A' && c <= 'F' ? c + 32 : c);
    return c && at ? (int)(at - digits) : -1;
}

char rest_take_character(struct text *t)
{
    char c = *t->p++;
    t->n--;
    if (c != '%' || t->n < 2 || hex_digit(t->p[0]) < 0 || hex_digit(t->p[1]) < 0)
        return c;
    c = (char)(hex_digit(t->p[0]) * 16 + hex_digit(t->p[1]));
    t->p += 2;
    t->n -= 2;
    return c;
}

size_t rest_path_text(const struct exchange *x, unsigned segment, char *text, size_t size)
{
    struct text t = segment_of(x, segment);
    size_t n = 0;
    while (t.n > 0 && n < size)
        text[n++] = rest_take_character(&t);
    return n;
}

const char *rest_path_named(const struct exchange *x, uint64_t *id)
{
    return rest_path_id(x, 1, id) ? NULL : "The id in the path must be a whole number above zero";
}

const char *rest_read_bounds(const struct exchange *x, const struct bound *bounds, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        const struct bound *b = &bounds[i];
        struct text value = exchange_query(x, b->name);
        if (value.p &&
            (!read_number(value, b->value) || *b->value < b->least || *b->value > b->most))
            return b->error;
    }
    return NULL;
}

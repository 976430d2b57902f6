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

bool rest_path_id(const struct exchange *x, unsigned segment, uint64_t *id)
{
    struct text t = x->request.path;
    for (unsigned i = 0; i <= segment && t.n > 0; i++) {
        size_t skip = i > 0 ? segment_len(t) + 1 : 1; /* the path begins with a '/' */
        skip = skip < t.n ? skip : t.n;
        t.p += skip;
        t.n -= skip;
    }
    t.n = segment_len(t);
    return read_number(t, id) && *id > 0;
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

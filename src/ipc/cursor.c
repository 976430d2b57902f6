/* Cursors as text; see cursor.h. */
#include "cursor.h"

#include <stdio.h>
#include <string.h>

size_t cursor_format(char text[CURSOR_TEXT], const char *tag, struct cursor c)
{
    return (size_t)snprintf(text, CURSOR_TEXT, "%.*s-%llu-%u", CURSOR_TAG - 1, tag,
                            (unsigned long long)c.change, (unsigned)c.stamp);
}

/* Takes a hyphen and decimal digits without leading zeros, up to most. */
static bool take_number(const char **p, const char *end, uint64_t most, uint64_t *v)
{
    if (*p == end || **p != '-')
        return false;
    const char *first = ++*p;
    for (*v = 0; *p < end && **p >= '0' && **p <= '9'; ++*p) {
        *v = *v * 10 + (uint64_t)(**p - '0');
        if (*v > most)
            return false;
    }
    return *p > first && (*first != '0' || *p == first + 1);
}

bool cursor_parse(const char *text, size_t n, const char *tag, struct cursor *c)
{
    size_t size = strlen(tag);
    uint64_t stamp;
    if (size == 0 || n < size || memcmp(text, tag, size) != 0)
        return false;
    const char *p = text + size, *end = text + n;
    /* A tenth of INT64_MAX: one more digit cannot overflow, and no database counts that far. */
    if (!take_number(&p, end, INT64_MAX / 10, &c->change) ||
        !take_number(&p, end, INT32_MAX, &stamp))
        return false;
    c->stamp = (uint32_t)stamp;
    return p == end;
}

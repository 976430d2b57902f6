/* Texts in columns; see cells.h. */
#include "cells.h"

#include <string.h>
#include <wchar.h>

#include "show.h"
#include "utf8.h"

/* Columns of the code point at p, and its bytes. */
static int width_at(const char *p, size_t *size)
{
    int width = wcwidth((wchar_t)utf8_decode(p, size));
    return width < 0 ? 0 : width;
}

/* One that this C library does not know is shown by its number: no terminal agrees on its width. */
static void put_known(struct buf *out, struct text t, bool first)
{
    size_t size;
    uint32_t code = utf8_decode(t.p, &size);
    int width = wcwidth((wchar_t)code);
    if (utf8_disrupts(code)) {
        show_put(out, (struct text){t.p, size});
    } else if (width < 0) {
        buf_printf(out, "\\u%04x", code);
    } else {
        buf_puts(out, width == 0 && first ? " " : "");
        buf_append(out, t.p, size);
    }
}

void cells_put(struct buf *out, struct text t, bool lines)
{
    bool first = true;
    if (t.n && !utf8_valid((const uint8_t *)t.p, t.n)) {
        show_put(out, t);
        return;
    }
    for (size_t i = 0, size; i < t.n; i += size) {
        utf8_decode(t.p + i, &size);
        bool feed = lines && t.p[i] == '\n';
        if (feed)
            buf_puts(out, "\n");
        else
            put_known(out, (struct text){t.p + i, size}, first);
        first = feed;
    }
}

int cells_width(struct text t)
{
    int width = 0;
    for (size_t i = 0, size; i < t.n; i += size)
        width += width_at(t.p + i, &size);
    return width;
}

size_t cells_fit(struct text t, int width)
{
    size_t i = 0;
    for (size_t size; i < t.n; i += size) {
        width -= width_at(t.p + i, &size);
        if (width < 0)
            break;
    }
    return i;
}

struct text cells_line(struct text *rest, int width)
{
    const char *feed = rest->n ? memchr(rest->p, '\n', rest->n) : NULL;
    struct text line = {rest->p, feed ? (size_t)(feed - rest->p) : rest->n};
    size_t fit = cells_fit(line, width), skip = feed != NULL;
    if (fit < line.n) {
        size_t blank = fit;
        while (blank > 0 && line.p[blank] != ' ')
            blank--;
        size_t n = blank > 0 ? blank : fit > 0 ? fit : cells_behind(line, 0);
        skip = blank > 0;
        line.n = n;
    }
    rest->p += line.n + skip;
    rest->n -= line.n + skip;
    return line;
}

size_t cells_before(struct text t, size_t at)
{
    size_t size;
    while (at > 0) {
        do
            at--;
        while (at > 0 && ((unsigned char)t.p[at] & 0xc0) == 0x80);
        if (width_at(t.p + at, &size) > 0)
            break;
    }
    return at;
}

size_t cells_behind(struct text t, size_t at)
{
    size_t size;
    if (at < t.n) {
        width_at(t.p + at, &size);
        at += size;
    }
    while (at < t.n && width_at(t.p + at, &size) == 0)
        at += size;
    return at;
}

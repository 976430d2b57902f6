/* Texts in columns; see cells.h. */
#include "cells.h"

#include <string.h>
#include <wchar.h>

#include "show.h"
#include "utf8.h"

enum { JOINER = 0x200d, MOST_MARKS = 3 }; /* what a cell of ncurses holds, and one to spare */

static bool is_flag(uint32_t c)
{
    return c >= 0x1f1e6 && c <= 0x1f1ff;
}

static bool is_tone(uint32_t c)
{
    return c >= 0x1f3fb && c <= 0x1f3ff;
}

/* Nothing of these is seen; they say how others are joined, drawn or turned. */
static bool is_invisible(uint32_t c)
{
    static const uint32_t ranges[][2] = {{0xad, 0xad},     {0x34f, 0x34f},   {0x61c, 0x61c},
                                         {0x180b, 0x180f}, {0x200b, 0x200f}, {0x2060, 0x2065},
                                         {0xfe00, 0xfe0f}, {0xfeff, 0xfeff}, {0xe0000, 0xe0fff}};
    for (size_t i = 0; i < sizeof(ranges) / sizeof(ranges[0]); i++)
        if (c >= ranges[i][0] && c <= ranges[i][1])
            return true;
    return false;
}

/* Columns of the code point at p, and its bytes. */
static int width_at(const char *p, size_t *size)
{
    int width = wcwidth((wchar_t)utf8_decode(p, size));
    return width < 0 ? 0 : width;
}

/* Does it belong to the character before it? */
static bool combines(uint32_t c)
{
    return is_invisible(c) || is_tone(c) || (wcwidth((wchar_t)c) == 0 && c != 0);
}

/* marks: how many the character before has; -1: there is none. */
static void put_mark(struct buf *out, struct text t, int *marks)
{
    if (*marks < 0) {
        buf_puts(out, " ");
        *marks = 0;
    }
    if ((*marks)++ < MOST_MARKS)
        buf_append(out, t.p, t.n);
}

/* One that this C library does not know is shown by its number: no terminal agrees on its width. */
static void put_spacing(struct buf *out, struct text t, uint32_t code, int *marks)
{
    *marks = 0;
    if (utf8_disrupts(code))
        show_put(out, t);
    else if (is_flag(code))
        buf_printf(out, "%c", (int)('A' + (code - 0x1f1e6)));
    else if (wcwidth((wchar_t)code) < 0)
        buf_printf(out, "\\u%04x", code);
    else
        buf_append(out, t.p, t.n);
}

static void put_code(struct buf *out, struct text t, int *marks)
{
    size_t size;
    uint32_t code = utf8_decode(t.p, &size);
    if (is_invisible(code) && !utf8_disrupts(code))
        return;
    if (is_tone(code) && *marks >= 0)
        return;
    if (wcwidth((wchar_t)code) == 0 && !utf8_disrupts(code))
        put_mark(out, t, marks);
    else
        put_spacing(out, t, code, marks);
}

static void put_valid(struct buf *out, struct text t, bool lines, int *marks)
{
    for (size_t i = 0, size; i < t.n; i += size) {
        utf8_decode(t.p + i, &size);
        if (lines && t.p[i] == '\n') {
            buf_puts(out, "\n");
            *marks = -1;
        } else {
            put_code(out, (struct text){t.p + i, size}, marks);
        }
    }
}

/* How many bytes from the front are valid UTF-8. */
static size_t valid_front(struct text t)
{
    struct utf8 state = {0};
    size_t n = 0;
    for (size_t i = 0; i < t.n && utf8_feed(&state, (const uint8_t *)t.p + i, 1); i++)
        n = utf8_complete(&state) ? i + 1 : n;
    return n;
}

/* A text that was cut off somewhere is still one that says no more than it may. */
void cells_put(struct buf *out, struct text t, bool lines)
{
    int marks = -1;
    while (t.n > 0) {
        size_t n = valid_front(t);
        put_valid(out, (struct text){t.p, n}, lines, &marks);
        if (n < t.n) {
            show_put(out, (struct text){t.p + n++, 1});
            marks = 0;
        }
        t = (struct text){t.p + n, t.n - n};
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
    for (size_t size; i < t.n && t.p[i] != '\n'; i += size) {
        width -= width_at(t.p + i, &size);
        if (width < 0)
            break;
    }
    return i;
}

/* Where a line breaks that does not fit: at its last blank, or where it is full. */
static size_t break_at(struct text line, size_t fit)
{
    size_t blank = fit;
    while (blank > 0 && line.p[blank] != ' ')
        blank--;
    return blank > 0 ? blank : fit > 0 ? fit : cells_behind(line, 0);
}

struct text cells_line(struct text *rest, int width)
{
    size_t fit = cells_fit(*rest, width), n = fit;
    if (fit < rest->n && rest->p[fit] != '\n')
        n = break_at(*rest, fit);
    struct text line = {rest->p, n};
    n += n < rest->n && (rest->p[n] == ' ' || rest->p[n] == '\n');
    rest->p += n;
    rest->n -= n;
    return line;
}

/* The code point at this place; 0 at the end. */
static uint32_t code_at(struct text t, size_t at, size_t *size)
{
    *size = 0;
    return at < t.n ? utf8_decode(t.p + at, size) : 0;
}

size_t cells_behind(struct text t, size_t at)
{
    size_t size;
    uint32_t first = code_at(t, at, &size), code;
    at += size;
    if (is_flag(first) && is_flag(code_at(t, at, &size)))
        at += size;
    while (combines(code = code_at(t, at, &size))) {
        at += size;
        if (code == JOINER && code_at(t, at, &size) >= 0x2000)
            at += size;
    }
    return at;
}

/* A character of ASCII begins one, so the search need not begin at the front. */
size_t cells_before(struct text t, size_t at)
{
    size_t begin = at > 0 ? at - 1 : 0;
    while (begin > 0 && (unsigned char)t.p[begin] >= 0x80)
        begin--;
    for (size_t next = begin; next < at; next = cells_behind(t, next))
        begin = next;
    return begin;
}

/* A line that is typed; see line.h. */
#include "line.h"

#include <string.h>

#include "cells.h"

struct text line_text(const struct line *l)
{
    return buf_text(&l->text);
}

/* Puts t in the place of what is between from and to. */
static void splice(struct line *l, size_t from, size_t to, struct text t)
{
    struct buf out = BUF_INIT;
    struct text old = line_text(l);
    if (from > 0)
        buf_append(&out, old.p, from);
    if (t.n > 0)
        buf_append(&out, t.p, t.n);
    if (to < old.n)
        buf_append(&out, old.p + to, old.n - to);
    buf_free(&l->text);
    l->text = out;
    l->at = from + t.n;
}

void line_set(struct line *l, struct text t)
{
    splice(l, 0, buf_len(&l->text), t);
}

void line_free(struct line *l)
{
    buf_free(&l->text);
    l->at = 0;
}

/* A mark that is typed behind a character belongs to it: the cursor stands behind both. */
static void settle(struct line *l)
{
    struct text t = line_text(l);
    size_t begin = cells_before(t, l->at), end = t.n ? cells_behind(t, begin) : 0;
    if (end > l->at)
        l->at = end;
}

bool line_insert(struct line *l, struct text t)
{
    if (buf_len(&l->text) + t.n > LINE_LONGEST)
        return false;
    splice(l, l->at, l->at, t);
    settle(l);
    return true;
}

void line_left(struct line *l)
{
    l->at = cells_before(line_text(l), l->at);
}

void line_right(struct line *l)
{
    l->at = cells_behind(line_text(l), l->at);
}

void line_home(struct line *l)
{
    l->at = 0;
}

void line_end(struct line *l)
{
    l->at = buf_len(&l->text);
}

static void remove_part(struct line *l, size_t from, size_t to)
{
    splice(l, from, to, (struct text){NULL, 0});
}

void line_erase(struct line *l)
{
    remove_part(l, cells_before(line_text(l), l->at), l->at);
}

void line_delete(struct line *l)
{
    remove_part(l, l->at, cells_behind(line_text(l), l->at));
}

static bool is_blank(char c)
{
    return c == ' ' || c == '\n' || c == '\t';
}

/* Back over blanks, or over what is none. */
static size_t back_over(struct text t, size_t at, bool blank)
{
    while (at > 0 && is_blank(t.p[at - 1]) == blank)
        at--;
    return at;
}

void line_erase_word(struct line *l)
{
    struct text t = line_text(l);
    remove_part(l, back_over(t, back_over(t, l->at, true), false), l->at);
}

void line_erase_before(struct line *l)
{
    remove_part(l, 0, l->at);
}

void line_delete_behind(struct line *l)
{
    remove_part(l, l->at, buf_len(&l->text));
}

void line_erase_all(struct line *l)
{
    remove_part(l, 0, buf_len(&l->text));
}

/* A line feed in the line is shown as the key that makes one. */
static void put_part(struct buf *out, struct text t)
{
    while (t.p && t.n > 0) {
        const char *feed = memchr(t.p, '\n', t.n);
        size_t n = feed ? (size_t)(feed - t.p) : t.n;
        cells_put(out, (struct text){t.p, n}, false);
        buf_puts(out, feed ? "\u21b5" : "");
        t.p += n + (feed != NULL);
        t.n -= n + (feed != NULL);
    }
}

/* Drops characters from the front until this width is left. */
static int cut_front(struct buf *b, int width)
{
    struct text t = buf_text(b);
    int left = cells_width(t);
    size_t at = 0;
    while (left > width) {
        size_t end = cells_behind(t, at);
        left -= cells_width((struct text){t.p + at, end - at});
        at = end;
    }
    buf_consume(b, at);
    return left;
}

int line_show(const struct line *l, int width, struct buf *out)
{
    struct text t = line_text(l);
    struct buf before = BUF_INIT, behind = BUF_INIT;
    put_part(&before, (struct text){t.p, l->at});
    put_part(&behind, (struct text){t.n ? t.p + l->at : NULL, t.n - l->at});
    struct text shown = buf_text(&before);
    int column =
        cells_width(shown) < width ? cells_width(shown) : cut_front(&before, width * 2 / 3);
    struct text rest = buf_text(&behind);
    if (buf_len(&before))
        buf_append(out, buf_head(&before), buf_len(&before));
    if (rest.n)
        buf_append(out, rest.p, cells_fit(rest, width - column));
    buf_free(&before);
    buf_free(&behind);
    return column;
}

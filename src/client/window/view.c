/* Messages as lines; see view.h. */
#include "view.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cells.h"
#include "log.h"
#include "people.h"

enum { INDENT = 7, QUOTED = 24 }; /* columns: " 12:00 "; what is quoted of a message */

static const struct post *bottom, *picked; /* bottom NULL: the end */
static size_t cut;                         /* lines of bottom that are below the edge */
static int width = 80, height = 24;        /* as they were last */
static bool at_top, shown;

/* --- a message --- */

static void put_clock(struct buf *out, time_t at)
{
    struct tm t;
    if (localtime_r(&at, &t))
        buf_printf(out, "%02d:%02d ", t.tm_hour, t.tm_min);
}

static void put_inline(struct buf *out, const char *text)
{
    cells_put(out, (struct text){text, strlen(text)}, false);
}

/* The beginning of the first line of what was answered. */
static void put_quoted(struct buf *out, const struct thread *t, int64_t id)
{
    const struct post *p = thread_find(t, id);
    struct buf text = BUF_INIT;
    if (!p) {
        buf_printf(out, "[to message %" PRId64 "] ", id);
        return;
    }
    cells_put(&text, (struct text){p->content, strcspn(p->content, "\n")}, false);
    buf_puts(out, "[to ");
    put_inline(out, people_name(p->sender));
    buf_puts(out, ": ");
    size_t n = cells_fit(buf_text(&text), QUOTED);
    buf_append(out, buf_head(&text), n);
    buf_puts(out, n < buf_len(&text) ? "...] " : "] ");
    buf_free(&text);
}

static int progress(const struct room *r, const struct post *p)
{
    return p->id == 0 ? -1 : (int)room_reach(r, p->id);
}

/* Is there a later one of ours that is as far? Then that one says it. */
static bool is_said_later(const struct room *r, size_t at)
{
    const struct thread *t = &r->thread;
    for (size_t i = at + 1; i < t->count; i++)
        if (t->posts[i]->sender == people_me && !t->posts[i]->fault && !t->posts[i]->deleted)
            return progress(r, t->posts[i]) >= progress(r, t->posts[at]);
    return false;
}

static void put_progress(struct buf *out, const struct room *r, size_t at)
{
    static const char *const words[] = {" (sending)", " (stored)", " (delivered)", " (read)"};
    const struct post *p = r->thread.posts[at];
    if (p->fault) {
        buf_puts(out, " (not sent: ");
        put_inline(out, p->fault);
        buf_puts(out, ")");
    } else if (p->sender == people_me && !p->deleted && !is_said_later(r, at)) {
        buf_puts(out, words[progress(r, p) + 1]);
    }
}

static void put_whole(struct buf *out, const struct room *r, size_t at)
{
    const struct post *p = r->thread.posts[at];
    buf_puts(out, p == picked ? ">" : " ");
    put_clock(out, p->at);
    put_inline(out, people_name(p->sender));
    buf_puts(out, ": ");
    if (p->reply_to)
        put_quoted(out, &r->thread, p->reply_to);
    if (p->deleted)
        buf_puts(out, "(deleted)");
    else
        cells_put(out, (struct text){p->content, strlen(p->content)}, true);
    buf_puts(out, p->edited && !p->deleted ? " (edited)" : "");
    put_inline(out, p->reactions ? p->reactions : "");
    put_progress(out, r, at);
}

/* --- lines --- */

static void put_line(struct buf *out, enum view_kind kind, int indent, struct text t)
{
    buf_printf(out, "%c%*s", (int)kind, indent, "");
    buf_append(out, t.p, t.n);
    buf_puts(out, "\n");
}

static bool is_new_day(const struct thread *t, size_t at)
{
    struct tm day, before;
    if (at == 0)
        return t->complete;
    return localtime_r(&t->posts[at]->at, &day) && localtime_r(&t->posts[at - 1]->at, &before) &&
           (day.tm_yday != before.tm_yday || day.tm_year != before.tm_year);
}

static void put_day(struct buf *out, time_t at)
{
    struct tm t;
    if (localtime_r(&at, &t))
        buf_printf(out, "%c -- %04d-%02d-%02d --\n", VIEW_DATE, t.tm_year + 1900, t.tm_mon + 1,
                   t.tm_mday);
}

static void put_post(struct buf *out, const struct room *r, size_t at)
{
    struct buf whole = BUF_INIT;
    put_whole(&whole, r, at);
    struct text rest = buf_text(&whole);
    int indent = width > 3 * INDENT ? INDENT : 1;
    if (is_new_day(&r->thread, at))
        put_day(out, r->thread.posts[at]->at);
    put_line(out, VIEW_HEAD, 0, cells_line(&rest, width));
    while (rest.n > 0)
        put_line(out, VIEW_REST, indent, cells_line(&rest, width - indent));
    buf_free(&whole);
}

static size_t count_lines(const struct buf *b)
{
    size_t n = 0;
    for (size_t i = 0; i < buf_len(b); i++)
        n += buf_head(b)[i] == '\n';
    return n;
}

static size_t lines_of(const struct room *r, size_t at)
{
    struct buf b = BUF_INIT;
    put_post(&b, r, at);
    size_t n = count_lines(&b);
    buf_free(&b);
    return n;
}

/* --- where it stands --- */

bool view_following(void)
{
    return !bottom;
}

void view_follow(void)
{
    bottom = picked = NULL;
    cut = 0;
}

int view_height(void)
{
    return height;
}

bool view_at_top(void)
{
    return at_top;
}

void view_hide(void)
{
    shown = false;
}

bool view_shown(void)
{
    return shown;
}

/* The place of the message at the edge; one that is gone is as the end. */
static size_t bottom_of(const struct thread *t)
{
    size_t at = bottom ? thread_index(t, bottom) : t->count;
    if (at == t->count) {
        bottom = NULL;
        cut = 0;
        at = t->count - 1;
    }
    return at;
}

static void stand(const struct thread *t, size_t at, size_t below)
{
    bool end = at + 1 == t->count && below == 0;
    bottom = end ? NULL : t->posts[at];
    cut = below;
}

static void back(const struct room *r, size_t n)
{
    size_t at = bottom_of(&r->thread), lines = lines_of(r, at);
    n += cut;
    while (n >= lines && at > 0) {
        n -= lines;
        lines = lines_of(r, --at);
    }
    stand(&r->thread, at, n < lines ? n : lines - 1);
}

static void forward(const struct room *r, size_t n)
{
    size_t at = bottom_of(&r->thread), below = cut;
    while (n > below && at + 1 < r->thread.count) {
        n -= below;
        below = lines_of(r, ++at);
    }
    stand(&r->thread, at, n < below ? below - n : 0);
}

/* How many lines there are from the edge up, as far as the screen goes. */
static size_t lines_above(const struct room *r, size_t most)
{
    size_t at = bottom_of(&r->thread), n = lines_of(r, at) - cut;
    while (n < most && at > 0)
        n += lines_of(r, --at);
    return n;
}

void view_scroll(const struct room *r, int lines)
{
    if (r->thread.count == 0)
        return;
    if (lines < 0) {
        forward(r, (size_t)-lines);
        return;
    }
    back(r, (size_t)lines);
    size_t above = lines_above(r, (size_t)height);
    if (above < (size_t)height)
        forward(r, (size_t)height - above);
}

void view_pick(const struct room *r, const struct post *p)
{
    picked = p;
    size_t at = p ? thread_index(&r->thread, p) : r->thread.count;
    if (at == r->thread.count)
        return;
    size_t edge = bottom_of(&r->thread), n = 0;
    for (size_t i = at; i <= edge && n < (size_t)height; i++)
        n += lines_of(r, i);
    if (at > edge || n >= (size_t)height)
        stand(&r->thread, at, 0);
}

/* --- the screen --- */

/* Behind the first n lines. */
static size_t behind_lines(const struct buf *b, size_t n)
{
    size_t at = 0;
    const uint8_t *p = buf_head(b);
    for (; at < buf_len(b) && n > 0; at++)
        n -= p[at] == '\n';
    return at;
}

/* Fills the screen from its lower edge up: parts[n - 1] is on top. */
static size_t collect(const struct room *r, struct buf *parts)
{
    size_t at = bottom_of(&r->thread), n = 0, lines = 0;
    for (;; at--) {
        put_post(&parts[n], r, at);
        if (n == 0)
            buf_truncate(&parts[0], behind_lines(&parts[0], count_lines(&parts[0]) - cut));
        lines += count_lines(&parts[n++]);
        if (at == 0 || lines >= (size_t)height)
            break;
    }
    at_top = at == 0;
    if (lines > (size_t)height)
        buf_consume(&parts[n - 1], behind_lines(&parts[n - 1], lines - (size_t)height));
    return n;
}

/* An edge within a message may have moved with the width, or with the text. */
static void mend_edge(const struct room *r)
{
    if (cut >= lines_of(r, bottom_of(&r->thread)))
        cut = 0;
}

void view_put(const struct room *r, int columns, int rows, struct buf *out)
{
    width = columns;
    height = rows;
    at_top = true;
    if (r->thread.count == 0 || rows <= 0)
        return;
    shown = true;
    mend_edge(r);
    struct buf *parts = xcalloc((size_t)rows, sizeof(*parts));
    for (size_t n = collect(r, parts); n > 0; n--) {
        buf_append(out, buf_head(&parts[n - 1]), buf_len(&parts[n - 1]));
        buf_free(&parts[n - 1]);
    }
    free(parts);
}

/* The whole screen; see paint.h. */
#include "paint.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cells.h"
#include "clock.h"
#include "desk.h"
#include "follow.h"
#include "notice.h"
#include "people.h"
#include "posting.h"
#include "screen.h"
#include "view.h"

/* With fewer columns than this there is one pane. */
enum { TWO_PANES = 64, LIST_LEAST = 18, LIST_MOST = 32, ENTRY_MOST = 32 };

struct pane {
    int column, width, rows;
};

/* As much of a text as fits. */
static void put(int row, int column, int width, struct text t, enum screen_style style)
{
    if (width > 0)
        screen_put(row, column, (struct text){t.p, cells_fit(t, width)}, style);
}

static void put_raw(struct buf *out, const char *text)
{
    cells_put(out, (struct text){text, strlen(text)}, false);
}

/* --- the list --- */

static void put_unread(char *out, size_t size, int64_t unread)
{
    out[0] = '\0';
    if (unread)
        snprintf(out, size, "(%" PRId64 "%s)", unread > 100 ? 100 : unread,
                 unread >= 100 ? "+" : "");
}

static char marker(const struct room *r)
{
    bool chosen = desk_in_list() ? r == desk_chosen() : r == desk_room();
    return chosen ? '>' : ' ';
}

static void put_entry(int row, struct pane p, const struct room *r)
{
    struct buf name = BUF_INIT;
    char unread[ENTRY_MOST];
    put_unread(unread, sizeof(unread), r->unread);
    int right = (int)strlen(unread);
    enum screen_style style = r->unread ? SCREEN_BOLD : SCREEN_PLAIN;
    buf_printf(&name, "%c%c", marker(r), r->peer && people_online(r->peer) ? '*' : ' ');
    put_raw(&name, r->label);
    put(row, p.column, p.width - right - 1, buf_text(&name), style);
    put(row, p.column + p.width - right, right, (struct text){unread, (size_t)right}, style);
    buf_free(&name);
}

static void put_head(struct pane p, const char *text)
{
    struct buf head = BUF_INIT;
    put_raw(&head, text);
    put(0, p.column, p.width, buf_text(&head), SCREEN_BOLD);
    buf_free(&head);
}

/* So far down that the chosen one is there. */
static void put_list(struct pane p)
{
    const struct room *chosen = desk_chosen();
    size_t at = chosen ? room_index(chosen) : 0, rows = p.rows > 1 ? (size_t)p.rows - 1 : 0;
    size_t first = at >= rows ? at - rows + 1 : 0;
    put_head(p, people_name(people_me));
    if (!chosen)
        put(1, p.column, p.width, (struct text){" /open NAME", 11}, SCREEN_PLAIN);
    for (size_t i = first; i < room_count() && i - first < rows; i++)
        put_entry((int)(i - first) + 1, p, room_at(i));
}

/* --- the conversation --- */

static void describe(char *out, size_t size, const struct room *r)
{
    int n = r->peer ? snprintf(out, size, "%.260s, %s", r->label,
                               people_online(r->peer) ? "online" : "offline")
                    : snprintf(out, size, "%.260s, %" PRId64 " members", r->label, r->members);
    if (clock_ms() < r->typing_until)
        snprintf(out + n, size - (size_t)n, ", %.60s is writing", people_name(r->typist));
}

/* " 12:00 bob: ": who has said it. */
static void put_first_line(int row, struct pane p, struct text t)
{
    const char *colon = t.n > 7 ? memchr(t.p + 7, ':', t.n - 7) : NULL;
    size_t n = colon ? (size_t)(colon - t.p) : 0;
    put(row, p.column, p.width, t, SCREEN_PLAIN);
    if (colon)
        put(row, p.column + 7, p.width - 7, (struct text){t.p + 7, n - 7}, SCREEN_BOLD);
}

static void put_line(int row, struct pane p, struct text t)
{
    struct text behind = {t.p + 1, t.n - 1};
    if (*t.p == VIEW_HEAD)
        put_first_line(row, p, behind);
    else
        put(row, p.column, p.width, behind, *t.p == VIEW_DATE ? SCREEN_DIM : SCREEN_PLAIN);
}

static void put_lines(struct pane p, const struct buf *lines)
{
    struct text rest = buf_text(lines);
    for (int row = 1; rest.n > 0; row++) {
        size_t n = (size_t)((const char *)memchr(rest.p, '\n', rest.n) - rest.p);
        put_line(row, p, (struct text){rest.p, n});
        rest = (struct text){rest.p + n + 1, rest.n - n - 1};
    }
}

static void put_room(struct pane p)
{
    char head[500];
    struct buf lines = BUF_INIT;
    const struct room *r = desk_room();
    if (!r) {
        put_head(p, "Choose a conversation, or type /open and a name");
        return;
    }
    describe(head, sizeof(head), r);
    put_head(p, head);
    view_put(r, p.width, p.rows - 1, &lines);
    put_lines(p, &lines);
    buf_free(&lines);
}

/* --- the last two rows --- */

static void put_status(int row)
{
    struct buf out = BUF_INIT;
    size_t waiting = posting_waiting();
    const char *said = *notice_text() ? notice_text() : follow_trouble();
    buf_printf(&out, "-- %s", follow_state());
    if (waiting)
        buf_printf(&out, ", %zu to send", waiting);
    buf_puts(&out, view_following() ? "" : ", scrolled back");
    buf_puts(&out, " -- ");
    put_raw(&out, said);
    buf_puts(&out, *said ? " " : "");
    for (int left = screen_columns() - cells_width(buf_text(&out)); left > 0; left--)
        buf_puts(&out, "-");
    put(row, 0, screen_columns(), buf_text(&out), SCREEN_REVERSE);
    buf_free(&out);
}

static void put_typed(int row)
{
    struct buf out = BUF_INIT;
    const char *prompt = desk_editing() ? "edit> " : "> ";
    int n = (int)strlen(prompt), room = screen_columns() - n;
    int column = line_show(desk_line(), room > 2 ? room : 2, &out);
    put(row, 0, n, (struct text){prompt, (size_t)n}, SCREEN_PLAIN);
    put(row, n, room, buf_text(&out), SCREEN_PLAIN);
    screen_show(row, n + column);
    buf_free(&out);
}

static void put_border(int column, int rows)
{
    for (int row = 0; row < rows; row++)
        put(row, column, 1, (struct text){"|", 1}, SCREEN_DIM);
}

static void put_two(int rows, int columns)
{
    int list = columns / 4;
    list = list < LIST_LEAST ? LIST_LEAST : list > LIST_MOST ? LIST_MOST : list;
    put_list((struct pane){0, list, rows});
    put_border(list, rows);
    put_room((struct pane){list + 1, columns - list - 1, rows});
}

void paint(void)
{
    int rows = screen_rows() - 2, columns = screen_columns();
    struct pane whole = {0, columns, rows};
    screen_clear();
    view_hide();
    if (columns >= TWO_PANES)
        put_two(rows, columns);
    else if (desk_in_list())
        put_list(whole);
    else
        put_room(whole);
    put_status(rows);
    put_typed(rows + 1);
}

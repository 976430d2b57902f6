/* Tables and JSON; see grid.h. */
#include "grid.h"

#include <ctype.h>
#include <err.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <wctype.h>

#include "buf.h"
#include "json_string.h"
#include "log.h"

enum { GAP = 2 };

void grid_init(struct grid *g, const struct grid_column *columns, size_t width)
{
    *g = (struct grid){.width = width};
    g->names = (char **)xcalloc(width, sizeof(*g->names));
    g->types = xcalloc(width, sizeof(*g->types));
    for (size_t i = 0; i < width; i++) {
        g->names[i] = xstrdup(columns[i].name);
        g->types[i] = columns[i].type;
    }
}

void grid_free(struct grid *g)
{
    for (size_t i = 0; i < g->width; i++)
        free(g->names[i]);
    for (size_t i = 0; i < g->room; i++)
        free(g->cells[i]);
    free((void *)g->names);
    free(g->types);
    free((void *)g->cells);
    *g = (struct grid){0};
}

void grid_put(struct grid *g, const char *text)
{
    /* room counts the cells until they are a whole row. */
    if ((g->room & (g->room - 1)) == 0)
        g->cells = xrealloc((void *)g->cells, (g->room ? 2 * g->room : 1) * sizeof(*g->cells));
    g->cells[g->room++] = text ? xstrdup(text) : NULL;
    g->rows = g->room / g->width;
}

void grid_printf(struct grid *g, const char *fmt, ...)
{
    char *text;
    va_list ap;
    va_start(ap, fmt);
    if (vasprintf(&text, fmt, ap) < 0)
        die("out of memory");
    va_end(ap);
    grid_put(g, text);
    free(text);
}

static const char *cell(const struct grid *g, size_t row, size_t column)
{
    return g->cells[row * g->width + column];
}

/* --- for people --- */

/* Appends the text as a terminal may see it, and returns the columns that it takes. */
static size_t put_printable(struct buf *out, const char *text)
{
    mbstate_t state = {0};
    size_t columns = 0, left = strlen(text);
    while (left > 0) {
        wchar_t ch = 0;
        size_t n = mbrtowc(&ch, text, left, &state);
        bool good = n != (size_t)-1 && n != (size_t)-2 && n > 0;
        int width = good && iswprint((wint_t)ch) ? wcwidth(ch) : -1;
        if (!good) {
            state = (mbstate_t){0};
            n = 1;
        }
        if (width >= 0)
            buf_append(out, text, n);
        else
            buf_puts(out, "?");
        columns += width >= 0 ? (size_t)width : 1;
        text += n;
        left -= n;
    }
    return columns;
}

/* The words for people: of a list, the entries in one line. */
static char *worded(enum grid_type type, const char *text)
{
    if (!text)
        return xstrdup("-");
    if (type == GRID_BOOL)
        return xstrdup(*text == 't' ? "yes" : "no");
    char *copy = xstrdup(text);
    for (char *s = copy; type == GRID_LIST && *s; s++)
        if (*s == '\n')
            *s = ' ';
    return copy;
}

static size_t put_cell(struct buf *out, enum grid_type type, const char *text)
{
    char *words = worded(type, text);
    size_t n = put_printable(out, words);
    free(words);
    return n;
}

static void put_heading(struct buf *out, const char *name)
{
    for (; *name; name++) {
        if (*name == '_')
            buf_puts(out, " ");
        else
            buf_printf(out, "%c", toupper((unsigned char)*name));
    }
}

static void put_blanks(struct buf *out, size_t n)
{
    while (n-- > 0)
        buf_puts(out, " ");
}

static size_t width_of(const struct grid *g, size_t column)
{
    size_t most = strlen(g->names[column]);
    for (size_t row = 0; row < g->rows; row++) {
        struct buf text = BUF_INIT;
        size_t n = put_cell(&text, g->types[column], cell(g, row, column));
        most = n > most ? n : most;
        buf_free(&text);
    }
    return most;
}

/* A cell in its column: numbers stand at the right. The last column has no blanks behind it. */
static void put_aligned(struct buf *out, const struct grid *g, size_t column, struct buf *text,
                        size_t taken, size_t width)
{
    bool last = column + 1 == g->width, right = g->types[column] == GRID_NUMBER;
    if (right)
        put_blanks(out, width - taken);
    buf_append(out, buf_head(text), buf_len(text));
    if (!last)
        put_blanks(out, GAP + (right ? 0 : width - taken));
    buf_free(text);
}

static void put_headings(struct buf *out, const struct grid *g, const size_t *widths)
{
    for (size_t i = 0; i < g->width; i++) {
        struct buf text = BUF_INIT;
        put_heading(&text, g->names[i]);
        put_aligned(out, g, i, &text, buf_len(&text), widths[i]);
    }
    buf_puts(out, "\n");
}

static void put_table(struct buf *out, const struct grid *g)
{
    size_t *widths = xcalloc(g->width, sizeof(*widths));
    for (size_t i = 0; i < g->width; i++)
        widths[i] = width_of(g, i);
    put_headings(out, g, widths);
    for (size_t row = 0; row < g->rows; row++) {
        for (size_t i = 0; i < g->width; i++) {
            struct buf text = BUF_INIT;
            size_t taken = put_cell(&text, g->types[i], cell(g, row, i));
            put_aligned(out, g, i, &text, taken, widths[i]);
        }
        buf_puts(out, "\n");
    }
    free(widths);
}

static void put_lines(struct buf *out, const struct grid *g)
{
    size_t most = 0;
    for (size_t i = 0; i < g->width; i++)
        most = strlen(g->names[i]) > most ? strlen(g->names[i]) : most;
    for (size_t i = 0; i < g->width; i++) {
        size_t before = buf_len(out);
        put_heading(out, g->names[i]);
        put_blanks(out, GAP + most - (buf_len(out) - before));
        put_cell(out, g->types[i], cell(g, 0, i));
        buf_puts(out, "\n");
    }
}

/* --- for programs --- */

static void put_list(struct buf *out, const char *text)
{
    buf_puts(out, "[");
    for (bool first = true; *text; first = false) {
        size_t n = strcspn(text, "\n");
        buf_puts(out, first ? "" : ",");
        json_put_string(out, text, n);
        text += n + (text[n] == '\n');
    }
    buf_puts(out, "]");
}

static void put_value(struct buf *out, enum grid_type type, const char *text)
{
    if (!text)
        buf_puts(out, "null");
    else if (type == GRID_NUMBER)
        buf_puts(out, text);
    else if (type == GRID_BOOL)
        buf_puts(out, *text == 't' ? "true" : "false");
    else if (type == GRID_LIST)
        put_list(out, text);
    else
        json_put_string(out, text, strlen(text));
}

static void put_object(struct buf *out, const struct grid *g, size_t row)
{
    for (size_t i = 0; i < g->width; i++) {
        buf_puts(out, i ? "," : "{");
        json_put_string(out, g->names[i], strlen(g->names[i]));
        buf_puts(out, ":");
        put_value(out, g->types[i], cell(g, row, i));
    }
    buf_puts(out, "}");
}

static void put_array(struct buf *out, const struct grid *g)
{
    buf_puts(out, "[");
    for (size_t row = 0; row < g->rows; row++) {
        buf_puts(out, row ? ",\n " : "");
        put_object(out, g, row);
    }
    buf_puts(out, "]");
}

static void put_members(struct buf *out, const struct grid_part *parts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        buf_puts(out, i ? ",\n" : "{");
        json_put_string(out, parts[i].name, strlen(parts[i].name));
        buf_puts(out, ":");
        if (parts[i].grid)
            put_array(out, parts[i].grid);
        else
            buf_puts(out, "null");
    }
    buf_puts(out, "}\n");
}

/* --- both --- */

static void print(struct buf *out)
{
    size_t n = buf_len(out);
    if (fwrite(buf_head(out), 1, n, stdout) != n || fflush(stdout) != 0)
        err(1, "standard output");
    buf_free(out);
}

void grid_print(const struct grid *g, bool json)
{
    struct buf out = BUF_INIT;
    if (json)
        put_array(&out, g);
    else
        put_table(&out, g);
    buf_puts(&out, json ? "\n" : "");
    print(&out);
}

static void put_tables(struct buf *out, const struct grid_part *parts, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (!parts[i].grid)
            continue;
        buf_printf(out, "%s%s:\n", i ? "\n" : "", parts[i].name);
        put_table(out, parts[i].grid);
    }
}

void grid_print_parts(const struct grid_part *parts, size_t count, bool json)
{
    struct buf out = BUF_INIT;
    if (json)
        put_members(&out, parts, count);
    else
        put_tables(&out, parts, count);
    print(&out);
}

void grid_print_one(const struct grid *g, bool json)
{
    struct buf out = BUF_INIT;
    if (json) {
        put_object(&out, g, 0);
        buf_puts(&out, "\n");
    } else {
        put_lines(&out, g);
    }
    print(&out);
}

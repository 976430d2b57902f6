/* Findings; see finding.h. */
#include "finding.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "ctl.h"
#include "grid.h"
#include "log.h"

static const struct grid_column columns[] = {
    {"check", GRID_TEXT}, {"good", GRID_BOOL}, {"finding", GRID_TEXT}, {"remedy", GRID_TEXT}};

static struct grid all;
static int bad;

static void __attribute__((format(printf, 3, 0)))
put(const char *check, const char *remedy, const char *fmt, va_list ap)
{
    char *text;
    if (vasprintf(&text, fmt, ap) < 0)
        die("out of memory");
    if (!all.width)
        grid_init(&all, columns, sizeof(columns) / sizeof(columns[0]));
    grid_put(&all, check);
    grid_put(&all, remedy ? "f" : "t");
    grid_put(&all, text);
    grid_put(&all, remedy);
    free(text);
}

void finding_good(const char *check, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    put(check, NULL, fmt, ap);
    va_end(ap);
}

void finding_bad(const char *check, const char *remedy, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    put(check, remedy, fmt, ap);
    va_end(ap);
    bad++;
}

static const char *cell(size_t row, size_t column)
{
    return all.cells[row * all.width + column];
}

/* A line for each check, and below it what to do: a table would be wider than a terminal. */
static void print_lines(void)
{
    for (size_t i = 0; i < all.rows; i++) {
        const char *remedy = cell(i, 3);
        printf("%-5s %s: %s\n", remedy ? "BAD" : "good", cell(i, 0), cell(i, 2));
        if (remedy)
            printf("      %s\n", remedy);
    }
}

int finding_print(void)
{
    if (ctl.json)
        grid_print(&all, true);
    else
        print_lines();
    grid_free(&all);
    return bad;
}

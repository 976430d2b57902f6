/* What was done; see done.h. */
#include "done.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "ctl.h"
#include "grid.h"
#include "log.h"

static const struct grid_column columns[] = {
    {"what", GRID_TEXT}, {"name", GRID_TEXT}, {"done", GRID_TEXT}};

static struct grid all;

void done_put(const char *what, const char *name, const char *how, ...)
{
    char *text;
    va_list ap;
    va_start(ap, how);
    if (vasprintf(&text, how, ap) < 0)
        die("out of memory");
    va_end(ap);
    if (!all.width)
        grid_init(&all, columns, sizeof(columns) / sizeof(columns[0]));
    grid_put(&all, what);
    grid_put(&all, name);
    grid_put(&all, text);
    if (!ctl.json) {
        printf("%s %s: %s\n", what, name, text);
        fflush(stdout);
    }
    free(text);
}

void done_end(void)
{
    if (ctl.json)
        grid_print(&all, true);
    grid_free(&all);
}

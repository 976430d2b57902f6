/*
 * What a command answers: rows of cells, printed as a table for people or as JSON for programs.
 *
 * The names of the columns are the members of the JSON objects, and in upper case the headings of
 * the table. setlocale(3) says which characters there are. Nothing in a cell can move the cursor of
 * a terminal: what is not printable is shown as a question mark.
 */
#ifndef GRID_H
#define GRID_H

#include <stdbool.h>
#include <stddef.h>

enum grid_type { GRID_TEXT, GRID_NUMBER, GRID_BOOL, GRID_LIST };

struct grid_column {
    const char *name;
    enum grid_type type; /* in JSON; GRID_LIST: texts, separated by a newline */
};

struct grid {
    char **names; /* of the columns; owned */
    enum grid_type *types;
    size_t width;
    char **cells; /* owned, row by row; NULL: null */
    size_t rows;
    size_t room;
};

/* An empty grid with these columns, whose names are copied. */
void grid_init(struct grid *g, const struct grid_column *columns, size_t width);
void grid_free(struct grid *g);

/* Appends a cell, copied; rows fill from the left. text: GRID_BOOL "t" or "f"; NULL: null. */
void grid_put(struct grid *g, const char *text);
void grid_printf(struct grid *g, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Prints all rows: a table, or with json an array of objects. Ends the program, with 1, if
 * standard output takes no more. */
void grid_print(const struct grid *g, bool json);

/* Prints several: tables with their names above, or with json one object, whose members are the
 * arrays. A grid of NULL is null in JSON, and no table. */
struct grid_part {
    const char *name;
    const struct grid *grid;
};
void grid_print_parts(const struct grid_part *parts, size_t count, bool json);

/* Prints one row, the first: a line for each column, or with json an object. */
void grid_print_one(const struct grid *g, bool json);

#endif

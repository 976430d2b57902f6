/*
 * Texts in the columns of a terminal: how wide they are, where their lines break, and what of them
 * must not get there. A combining character stays with its base, and a wide one is never cut.
 */
#ifndef CELLS_H
#define CELLS_H

#include <stdbool.h>

#include "buf.h"

/* Appends a text of any origin as it may be shown: what disrupts, or has no width, is escaped, a
 * mark without a base gets a blank. With lines, a line feed stays. */
void cells_put(struct buf *out, struct text t, bool lines);

/* The width of a text that cells_put() has made, in columns. */
int cells_width(struct text t);

/* Takes from the front of *rest, such a text, what fits into a line of this width, without its line
 * feed. Lines break at blanks where they can. */
struct text cells_line(struct text *rest, int width);

/* How many bytes from the front of it fit into this width. */
size_t cells_fit(struct text t, int width);

/* Where the character before this place begins, and the one behind it; with all that combines. */
size_t cells_before(struct text t, size_t at);
size_t cells_behind(struct text t, size_t at);

#endif

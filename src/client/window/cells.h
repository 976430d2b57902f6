/*
 * Texts in the columns of a terminal: how wide they are, where their lines break, and what of them
 * must not get there.
 *
 * Terminals disagree on how many columns a sequence takes that is joined, such as a family of
 * emojis, a skin tone, or a flag. A window that believed another than the terminal would be
 * scattered, so what only joins is left out, and flags are shown as their letters.
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

/* How many bytes from the front of it, up to a line feed, fit into this width. */
size_t cells_fit(struct text t, int width);

/* Of a valid text as it was typed: where the character before this place begins, and the one behind
 * it; with all that combines or is joined. */
size_t cells_before(struct text t, size_t at);
size_t cells_behind(struct text t, size_t at);

#endif

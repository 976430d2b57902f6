/* A line that is typed: its text, where the cursor is, and how it is shown. */
#ifndef LINE_H
#define LINE_H

#include <stdbool.h>

#include "buf.h"

enum { LINE_LONGEST = 1 << 20 }; /* bytes */

/* All zero bytes: an empty line. The text is valid UTF-8 and may have line feeds; the cursor stands
 * between characters, each with all that combines with it. */
struct line {
    struct buf text;
    size_t at; /* bytes before the cursor */
};

struct text line_text(const struct line *l);
void line_set(struct line *l, struct text t);
void line_free(struct line *l);

/* Puts valid UTF-8 before the cursor. False if the line would be too long. */
bool line_insert(struct line *l, struct text t);

void line_left(struct line *l);
void line_right(struct line *l);
void line_home(struct line *l);
void line_end(struct line *l);

/* What is removed: the character before the cursor or behind it, the word before, everything before
 * or behind. */
void line_erase(struct line *l);
void line_delete(struct line *l);
void line_erase_word(struct line *l);
void line_erase_before(struct line *l);
void line_delete_behind(struct line *l);
void line_erase_all(struct line *l);

/* Appends the part around the cursor that fits into this many columns, as cells_put() makes it.
 * Returns the column of the cursor in it, which is less than width. */
int line_show(const struct line *l, int width, struct buf *out);

#endif

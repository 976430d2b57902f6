/*
 * The terminal, by ncurses: cells, keys, and the promise that it is given back as it was, however
 * the program ends.
 *
 * What is written to standard error meanwhile would be lost in the window; it is kept, and comes
 * out when the terminal is given back.
 */
#ifndef SCREEN_H
#define SCREEN_H

#include <stdbool.h>
#include <stddef.h>

#include "text.h"

/* Are standard input and output a terminal? */
bool screen_possible(void);

/* Takes the terminal. Ends the program if it cannot show a window. */
void screen_open(void);

/* Gives it back; once is enough. */
void screen_close(void);

/* Its size may have changed. */
void screen_resize(void);
int screen_rows(void);
int screen_columns(void);

/* Gives the terminal back until the process is continued. SIGTSTP must be blocked. */
void screen_suspend(void);

/* Draws all of it anew, as when something else has written on it. */
void screen_redraw(void);

/* A screen is drawn from the beginning: cleared, texts put, which cells_put() has made, and shown.
 * What does not fit into a row is cut off. */
enum screen_style { SCREEN_PLAIN, SCREEN_DIM, SCREEN_BOLD, SCREEN_REVERSE };
void screen_clear(void);
void screen_put(int row, int column, struct text t, enum screen_style style);
void screen_show(int cursor_row, int cursor_column);

/* What is typed: a character, or a key. */
enum screen_code {
    SCREEN_CHARACTER, /* in text */
    SCREEN_CONTROL,   /* a control character, in control: 1 for ^A, 27 for Escape, 127 */
    SCREEN_UP,
    SCREEN_DOWN,
    SCREEN_LEFT,
    SCREEN_RIGHT,
    SCREEN_HOME,
    SCREEN_END,
    SCREEN_PAGE_UP,
    SCREEN_PAGE_DOWN,
    SCREEN_DELETE,
    SCREEN_PASTE,  /* what follows is pasted, up to */
    SCREEN_PASTED, /* this */
    SCREEN_OTHER,
};
struct screen_key {
    enum screen_code code;
    unsigned char control;
    char text[5]; /* valid UTF-8 */
};

/* The next one; false if there is none now. */
bool screen_key(struct screen_key *k);

/* Has the terminal gone, without a signal? */
bool screen_gone(void);

#endif

/*
 * The part of a conversation that is on the screen: its messages as lines, and how far it is
 * scrolled back. What the screen shows stays where it is when messages come, before or behind it.
 */
#ifndef VIEW_H
#define VIEW_H

#include <stdbool.h>

#include "buf.h"
#include "room.h"

/* Shows the end, and what comes. */
void view_follow(void);
bool view_following(void);

/* The message that is picked, or NULL. It is scrolled to. */
void view_pick(const struct room *r, const struct post *p);

/* Appends at most height lines of this width, each with a letter in front that says what it is, and
 * a line feed. */
enum view_kind { VIEW_DATE = 'd', VIEW_HEAD = 'h', VIEW_REST = 'r' };
void view_put(const struct room *r, int width, int height, struct buf *out);

/* Nothing of a conversation is on the screen, until view_put(); and whether that was since then. */
void view_hide(void);
bool view_shown(void);

/* Scrolls back by this many lines, or forward if it is negative. */
void view_scroll(const struct room *r, int lines);

/* The height of the last one that was put. */
int view_height(void);

/* Does the first message that is here stand on the screen? */
bool view_at_top(void);

#endif

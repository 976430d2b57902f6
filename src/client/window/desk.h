/* What lies before the user: which conversation is open, which one of the list is chosen, which
 * message is picked, and what is typed. */
#ifndef DESK_H
#define DESK_H

#include <stdbool.h>
#include <stdint.h>

#include "line.h"
#include "room.h"

/* The conversation that is open, and the chosen one of the list; NULL: none. */
struct room *desk_room(void);
struct room *desk_chosen(void);

/* Opens one: it is shown from its end on. */
void desk_open(struct room *r);

/* Does the list have the keys, and on a narrow terminal the screen? */
bool desk_in_list(void);
void desk_go_to_list(bool list);

/* Chooses one further down in the list, or up. */
void desk_choose(int down);

/* The line that is typed: each conversation has its own. */
struct line *desk_line(void);

/* Picks the message before the picked one, or behind it; the last one first. */
void desk_pick(bool before);
struct post *desk_picked(void);

/* Is the line the new text of a message? 0: no; its id. */
int64_t desk_editing(void);
void desk_edit(const struct post *p);

/* Back to where one writes: nothing is picked or edited, the end is shown. */
void desk_reset(void);

/* Sends the line as what it is, a message or a new text. */
void desk_send(struct text t, int64_t reply_to);

/* What follows from what is shown: it was read; more history is wanted. */
void desk_tick(void);

void desk_leave(void);
bool desk_left(void);

void desk_free(void);

#endif

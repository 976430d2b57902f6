/*
 * Who runs when: which part's statement is next on the link's two connections, and which parts are
 * told of doorbells, of the link's state and of each tick.
 */
#ifndef SCHEDULE_H
#define SCHEDULE_H

#include <stdbool.h>

/* Starts the link; status_fd: see link_init(). */
void schedule_init(int status_fd);

/* Gives each free connection its next statement. The main loop calls this once per round of events,
 * so that what came in one round goes in one statement. */
void schedule_turn(void);

/* True when nothing is left to write. */
bool schedule_is_quiet(void);

/* Frees the link and all parts. */
void schedule_free(void);

#endif

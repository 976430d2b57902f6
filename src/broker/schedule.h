/*
 * When each part of the broker has its turn: whose statement runs next on the two connections of
 * the link, who hears of doorbells, of the link's ends, and of each tick.
 */
#ifndef SCHEDULE_H
#define SCHEDULE_H

#include <stdbool.h>

/* Starts the link; status_fd: see link_init(). */
void schedule_init(int status_fd);

/* Gives each connection that is free its next statement. For the main loop: what came in one round
 * of events goes in one statement. */
void schedule_turn(void);

/* True when nothing is left to be written. */
bool schedule_is_quiet(void);

/* Frees the link and all parts. */
void schedule_free(void);

#endif

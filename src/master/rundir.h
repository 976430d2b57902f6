/* The directory run_dir: the broker's socket lives there, and one server at a time. */
#ifndef RUNDIR_H
#define RUNDIR_H

#include <stdbool.h>

/* Creates the directory if it is missing, makes sure that no other chatd uses it, makes it the
 * working directory and returns a listening socket named broker.sock in it. own: use a fresh
 * directory below it instead, since other servers for single connections run at the same time. */
int rundir_enter(const char *path, int backlog, bool own);

/* Removes what rundir_enter() made. */
void rundir_leave(void);

#endif

/*
 * The directory run_dir belongs to one server at a time, which makes a directory of its own below
 * it for the broker's socket and nothing else. That is the working directory of all processes; the
 * sessions of a server started as root see no other.
 *
 * An flock(2) on the open file "lock" keeps others out. A server that takes over inherits the open
 * file and with it the lock, so that both are in and no other is. Servers for a single connection
 * take no lock: many of them run at once.
 */
#ifndef RUNDIR_H
#define RUNDIR_H

#include <stdbool.h>
#include <sys/types.h>

struct identity;

/* Creates the directory if missing, makes sure that no other chatd uses it, changes to our own
 * directory, and returns a listening socket named broker.sock there. sessions: the user that
 * connects to it. lock: the previous server's rundir_lock(), taken over; -1: none. Dies if the
 * directory is in use, or if others may write to it. */
int rundir_enter(const char *path, int backlog, bool single, int lock, const struct identity *who);

/* The lock, for a server that takes over. It is held until all have closed it. */
int rundir_lock(void);

/* The listening socket control.PID of run_dir, which only root and the user who started the server
 * can open; -1 for a server for a single connection. It has a name of its own for each master, so
 * that one that retires is still to be asked. */
int rundir_control(void);

/* Removes what a dead successor has left behind. */
void rundir_clear(pid_t pid);

/* Removes what rundir_enter() made. */
void rundir_leave(void);

#endif

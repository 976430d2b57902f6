/*
 * The directory run_dir: one server at a time has it, and below it a directory of its own, which
 * holds the broker's socket and nothing else. That one is the working directory of all processes;
 * the sessions of a server that was started as root see no other.
 *
 * "At a time" is what a lock says that belongs to the open file lock, flock(2). A server that takes
 * over from another one inherits that file, and with it the lock, so that both are in and nobody
 * else is. Servers for a single connection need no lock: many of them run at a time.
 */
#ifndef RUNDIR_H
#define RUNDIR_H

#include <stdbool.h>
#include <sys/types.h>

struct identity;

/* Creates the directory if it is missing, makes sure that no other chatd uses it, makes the one of
 * our own the working directory, and returns a listening socket named broker.sock there, to which
 * the sessions can connect, who are who. lock: what rundir_lock() was in the server before, taken
 * over; -1: there was none. Dies if the directory is in use, or others may write to it. */
int rundir_enter(const char *path, int backlog, bool single, int lock, const struct identity *who);

/* The lock, for a server that takes over. It stays locked until all have closed it. */
int rundir_lock(void);

/* Removes what a server that was to take over, and is dead, has left behind. */
void rundir_clear(pid_t pid);

/* Removes what rundir_enter() made. */
void rundir_leave(void);

#endif

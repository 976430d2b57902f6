/*
 * The directory run_dir: the broker's socket lives there, and one server at a time.
 *
 * "At a time" is what a lock says that belongs to the open file lock, flock(2). A server that takes
 * over from another one inherits that file, and with it the lock, so that both are in and nobody
 * else is; it has a directory of its own below, since sessions find their broker by a name in their
 * working directory. So has each server for a single connection, of which many run at a time.
 */
#ifndef RUNDIR_H
#define RUNDIR_H

#include <stdbool.h>
#include <sys/types.h>

/* Creates the directory if it is missing, makes sure that no other chatd uses it, makes it, or the
 * directory of our own below it, the working directory and returns a listening socket named
 * broker.sock there. lock: what rundir_lock() was in the server before, taken over; -1: there was
 * none. Dies if the directory is in use, or others may write to it. */
int rundir_enter(const char *path, int backlog, bool single, int lock);

/* The lock, for a server that takes over. It stays locked until all have closed it. */
int rundir_lock(void);

/* Removes what a server that was to take over, and is dead, has left behind. */
void rundir_clear(pid_t pid);

/* Removes what rundir_enter() made. */
void rundir_leave(void);

#endif

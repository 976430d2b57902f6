/*
 * log_file: opened here, and reopened on SIGHUP, so that the old file can be renamed.
 *
 * Only the master has the file. The other processes, which may open nothing, send it each line as a
 * datagram: lines never mix, and the kernel names the sender. A process that logs faster than the
 * master reads loses lines and does not wait; sessions have a socket of their own, so that they
 * cannot crowd out broker and helpers.
 */
#ifndef LOGFILE_H
#define LOGFILE_H

#include <stdbool.h>

/* Opens the file. Dies if it cannot be written, or if another user could have put it there: a
 * symbolic link, another user's file, or one with a second name. */
void logfile_init(const char *path);

/* The file, for the master; -1: the log goes elsewhere. */
int logfile_fd(void);

/* What the other processes log to: fd unless there is a file. */
int logfile_for_roles(int fd);
int logfile_for_sessions(int fd);

/* The sockets to poll for lines; -1: none. */
enum { LOGFILE_SOCKETS = 2 };
void logfile_sockets(int fds[LOGFILE_SOCKETS]);

/* Writes lines that have arrived, some from each socket. False if there were none. */
bool logfile_pass_on(void);

/* Reopens the path. If that fails, logs why and keeps the old file. */
void logfile_reopen(void);

#endif

/*
 * log_file: opened here, and opened again on SIGHUP, so that it can be renamed and a new one begun.
 *
 * Only the master has the file. The others, who may open nothing, send their lines to it, each line
 * a datagram: no line is in part another's, and the kernel says which process has sent it. Who
 * logs faster than the master reads loses lines, and does not wait; sessions have a socket of their
 * own, so that one of them cannot crowd out broker and helpers.
 */
#ifndef LOGFILE_H
#define LOGFILE_H

#include <stdbool.h>

/* Opens the file. Dies if it cannot be written to, or if somebody else could have put it there: a
 * symbolic link, a file of another user, or one that has a second name. */
void logfile_init(const char *path);

/* The file, for the master; -1: there is none, the log goes elsewhere. */
int logfile_fd(void);

/* What the others log to, in place of fd if there is a file. */
int logfile_for_roles(int fd);
int logfile_for_sessions(int fd);

/* What is to be polled for lines; -1: nothing. */
enum { LOGFILE_SOCKETS = 2 };
void logfile_sockets(int fds[LOGFILE_SOCKETS]);

/* Writes the lines that have come, some of each. False if there were none. */
bool logfile_pass_on(void);

/* Opens the file that is at the path now. The old one stays, with a line that says why, if that is
 * not to be had. */
void logfile_reopen(void);

#endif

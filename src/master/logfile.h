/*
 * log_file: opened here, and reopened on SIGHUP, so that the old file can be renamed; or the socket
 * of systemd-journald.
 *
 * Only the master has it. The other processes, which may open nothing, send it each line as a
 * datagram: lines never mix, the kernel names the sender, and none writes a field of the journal by
 * itself. A process that logs faster than the master reads loses lines and does not wait. Sessions
 * have a socket of their own, and so has the exporter, which strangers may reach, too: they can
 * neither crowd out broker and helpers nor pass for them.
 */
#ifndef LOGFILE_H
#define LOGFILE_H

#include <stdbool.h>

#include "log.h"

/* Opens the file. Dies if it cannot be written, or if another user could have put it there: a
 * symbolic link, another user's file, or one with a second name. */
void logfile_init(const char *path);

/* Begins to log to systemd-journald, whose socket has this path (kept), up to level. Dies if nobody
 * listens there. */
void logfile_init_journal(const char *path, enum log_level level);

/* The file, or the journal's socket, for the master; -1: the log goes elsewhere. */
int logfile_fd(void);

/* What the other processes log to: fd unless the master passes their lines on. */
int logfile_for_roles(int fd);
int logfile_for_exporter(int fd);
int logfile_for_sessions(int fd);

/* The sockets to poll for lines. Returns how many there are: poll(2) refuses a set that is larger
 * than RLIMIT_NOFILE, even if it ignores most of it. */
enum { LOGFILE_SOCKETS = 3 };
int logfile_sockets(int fds[LOGFILE_SOCKETS]);

/* Writes lines that have arrived, some from each socket. False if there were none. */
bool logfile_pass_on(void);

/* Reopens the path. If that fails, logs why and keeps the old file. */
void logfile_reopen(void);

#endif

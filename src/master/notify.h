/* Reports the server's state to whatever started it: NOTIFY_SOCKET (sd_notify(3)), and ready_fd. */
#ifndef NOTIFY_H
#define NOTIFY_H

#include <sys/types.h>

/* Takes NOTIFY_SOCKET out of the environment. ready_fd: -1 for none. */
void notify_init(int ready_fd);

/* The server is ready; names: its addresses. Once: later calls do nothing. */
void notify_ready(const char *names);

/* A line for "systemctl status". */
void notify_status(const char *text);

/* The server has begun to stop. */
void notify_stopping(void);

/* In a child that is to take over: puts NOTIFY_SOCKET back into the environment. */
void notify_restore(void);

/* From now on the process with this pid speaks for the server. */
void notify_successor(pid_t pid);

#endif

/*
 * Low priority, so that a storm of logins leaves the processors to messages first: to the rest of
 * chatd, and to PostgreSQL where it runs on this host.
 */
#ifndef PRIORITY_H
#define PRIORITY_H

/* Before role_start(): afterwards, in production, a process may not open what /proc has of it. */
void priority_open(void);

/* After role_start(), when the log is there, and before the process is confined. */
void priority_lower(void);

/* Of all processes without privileges together, the kernel lowers ten sessions a second. Who had to
 * stand back tries again before each request, rather than wait; harmless when it is done. */
void priority_lower_session(void);

#endif

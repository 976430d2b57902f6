/*
 * Low priority, so that a storm of logins leaves the processors to messages first: to the rest of
 * chatd, and to PostgreSQL where it runs on this host.
 */
#ifndef PRIORITY_H
#define PRIORITY_H

/* Call before role_start(): afterwards, in production, a process may not open its files in
 * /proc. */
void priority_open(void);

/* Call after role_start(), which opens the log, and before the process is confined. */
void priority_lower(void);

/* The kernel lowers at most ten sessions a second for all unprivileged processes together. A worker
 * that was refused tries again before each request rather than wait. Harmless once done. */
void priority_lower_session(void);

#endif

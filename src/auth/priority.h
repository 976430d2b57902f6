/*
 * Low priority, so that a storm of logins leaves the processors to messages first: to the rest of
 * chatd, and to PostgreSQL where it runs on this host.
 */
#ifndef PRIORITY_H
#define PRIORITY_H

/* Call it before role_start(): afterwards, in production, a process may not open what /proc has of
 * it. */
void priority_lower(void);

#endif

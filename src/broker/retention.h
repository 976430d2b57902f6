/*
 * Retention: messages that are older than the database is told to keep are removed, a few at a
 * time. The first of the hosts does it (chatd_api.retention_step); the others ask, and do nothing.
 */
#ifndef RETENTION_H
#define RETENTION_H

/* The link is up: asks, and asks again each retention_interval. */
void retention_link_up(void);
void retention_link_lost(void);

#endif

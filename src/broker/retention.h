/*
 * Retention: messages that are older than the database is told to keep are removed, a few at a
 * time. The first of the hosts does it (chatd_api.retention_step); the others ask, and do nothing.
 */
#ifndef RETENTION_H
#define RETENTION_H

#include <stdint.h>

/* The link is up: asks, and asks again each retention_interval. */
void retention_link_up(void);
void retention_link_lost(void);

/* How many messages this host has removed. */
uint64_t retention_removed(void);

#endif

/*
 * Reads durable changes in order from this host's position, whenever a doorbell rings, and hands
 * them out. Live traffic, start-up and the time after an outage are this one path. What this host
 * itself stores comes along it too: with the answer to the statement that stored it, when all
 * before it has been handed out (sends.c), otherwise with the next reading.
 */
#ifndef EVENTS_H
#define EVENTS_H

#include <stdbool.h>

#include "db.h"

/* Look for changes although no bell was heard. */
void events_wanted(void);

/* Starts reading if there is something to read: true. */
bool events_read(struct db *listener);

#endif

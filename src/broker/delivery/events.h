/*
 * When a doorbell rings, reads durable changes in order from this host's position and hands them
 * out. Live traffic, start-up and recovery after an outage share this path. A message that this
 * host stores is handed out from the answer to its statement (sends.c) if all changes before it
 * have been; otherwise it takes this path too.
 */
#ifndef EVENTS_H
#define EVENTS_H

#include <stdbool.h>

#include "db.h"

/* Look for changes even without a bell. */
void events_wanted(void);

/* Starts reading if there may be something to read, and returns true. */
bool events_read(struct db *listener);

#endif

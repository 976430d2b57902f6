/*
 * Who is online: this host's view of the table presence, and the announcements of its changes.
 *
 * The view is compared with the database, never computed from what this host happens to see, so a
 * change that was missed is made up for by the next reading.
 */
#ifndef STATUSES_H
#define STATUSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "db.h"

/* A bell rang, or it is time to look. */
void statuses_wanted(void);

/* The link is up again: compare everything. */
void statuses_link_up(void);

/* The link was lost. */
void statuses_link_lost(void);

/* Starts a reading, or a correction of the table, if there is need: true. */
bool statuses_read(struct db *listener);
bool statuses_write(struct db *writer);

void statuses_free(void);

#endif

/*
 * Who is online: this host's view of the table presence, and the announcements of its changes.
 *
 * The view is compared with the database, never computed from what this host happens to see, so the
 * next reading makes up for any change missed. When the link comes up it reads, in pages, who came
 * or went since this host last looked, and who is online; not everybody who ever came.
 *
 * A block changes what two users see of each other, not who is online: each is told of the other as
 * of one who goes, or comes (a view).
 *
 * A user who comes and goes between two readings was never here. But a client that attached between
 * the two may have found this user online, so it is told; perhaps of what it knows.
 */
#ifndef STATUSES_H
#define STATUSES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "db.h"

/* This host has a number. last: the database's last presence change; honoured: it knows the changes
 * that this host knows. */
void statuses_attached(bool honoured, uint64_t last);

/* A bell rang, or it is time to look. */
void statuses_wanted(void);

/* The link is up again: compare everything. */
void statuses_link_up(void);

/* The link is lost. */
void statuses_link_lost(void);

/* Starts a reading, or a correction of the table, if one is needed, and returns true. */
bool statuses_read(struct db *listener);
bool statuses_write(struct db *writer);

void statuses_free(void);

#endif

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

/* The configured audience: "all", "contacts" or "off". */
const char *statuses_mode(void);

/* A bell rang, or it is time to look. */
void statuses_wanted(void);

/* The link is up again: compare everything. */
void statuses_link_up(void);

/* The link was lost. */
void statuses_link_lost(void);

/* Starts a reading, or a correction of the table, if there is need: true. */
bool statuses_read(struct db *listener);
bool statuses_write(struct db *writer);

/* A row of presence_read(). Views live until the next call, or as long as the result. */
struct status {
    uint64_t change;
    int64_t user;
    bool online;
    bool to_all;
    const int64_t *audience;
    size_t audience_count;
    const char *frame; /* as the client sees it */
    size_t size;
};
struct status status_from_row(const PGresult *result, int row);
bool status_concerns(const struct status *s, int64_t user);

void statuses_free(void);

#endif

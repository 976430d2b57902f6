/*
 * A durable change on its way to the peers that it concerns: a row from the functions that read
 * changes (cursor, stamp, user ids, origin, frame), or from the answer to a message of this host.
 */
#ifndef EVENT_H
#define EVENT_H

#include "db.h"

struct event {
    struct cursor cursor;
    int64_t users[2];
    size_t user_count; /* 0: concerns nobody here, only advances the position */
    uint64_t origin;   /* the sending session; 0: none */
    const char *frame;
    size_t size; /* 0: nobody here gets it, see feed_awaits() */
};

struct event event_from_row(const PGresult *result, int row);

/* How many rows of a page are changes. whole: is there nothing more up to where it was read? A last
 * row, without users, says so; otherwise the page was full, in rows or in bytes. */
int event_rows(const PGresult *result, bool *whole);

#endif

/*
 * Durable changes: read in order from this host's cursor, whenever a doorbell rings, and handed to
 * the peers that they concern. Live traffic, start-up and the time after an outage are this one
 * path. What this host itself stores comes along it too: with the answer to the statement that
 * stored it, when all before it has been handed out, otherwise with the next reading.
 */
#ifndef EVENTS_H
#define EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "db.h"

/* Up to here everything has been handed out. 0 before the first session is attached. */
struct cursor events_position(void);

/* Nothing up to start concerns anybody here. For the first session of a fresh broker. */
void events_start(struct cursor start);

/* The database is not what it was: what comes next is what comes after this position. No reading
 * may be under way. */
void events_restart(struct cursor to);

/* A doorbell: the change with this id has been committed. */
void events_rung(uint64_t id);

/* Look for changes although no bell was heard. */
void events_wanted(void);

/* Starts reading if there is something to read: true. */
bool events_read(struct db *listener);

/* A change: of the rows of the functions that read them (cursor, stamp, user ids, origin, frame),
 * or of the answer to a message of this host (sends.c). */
struct event {
    struct cursor cursor;
    int64_t users[2];
    size_t user_count; /* 0: concerns nobody here, but moves the cursor on */
    uint64_t origin;   /* the session that it came from; 0: none */
    const char *frame;
    size_t size; /* 0: nobody here is to see it, see feed_awaits() */
};
struct event event_from_row(const PGresult *result, int row);

/* Is nothing to be read that is known of? */
bool events_are_current(void);

/* Has all been handed out before this change, or more? Numbers that no change has make it say no.
 */
bool events_are_next(uint64_t change);

/* Hands out the next change. One that was handed out before is for nobody any more. */
void events_hand_out(const struct event *e);

#endif

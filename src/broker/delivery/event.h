/*
 * A durable change on its way to the peers that it concerns: a row from the functions that read
 * changes (cursor, stamp, user ids, origin, frame, group, subject, membership), or from the answer
 * to a message of this host.
 */
#ifndef EVENT_H
#define EVENT_H

#include "db.h"

/* What becomes of the users that a change of a group names. */
enum membership { MEMBERS_STAY, MEMBERS_COME, MEMBERS_GO };

struct event {
    struct cursor cursor;
    int64_t users[2];
    size_t user_count; /* with group 0: how many it concerns; 0: nobody here, it only advances the
                        * position */
    int64_t group;     /* concerns the members who may see the subject; 0: none */
    uint64_t subject;  /* the message that it is or changes, or the change itself */
    enum membership membership;
    uint64_t since;       /* of those who come: they see what comes after this */
    const int64_t *named; /* who comes or goes; valid until the next row is read */
    size_t named_count;
    uint64_t origin; /* the sending session; 0: none */
    const char *frame;
    size_t size; /* 0: nobody here gets it, see attached_awaits() */
};

struct event event_from_row(const PGresult *result, int row);

/* How many rows of a page are changes. whole: is there nothing more up to where it was read? A last
 * row, without users, says so; otherwise the page was full, in rows or in bytes. */
int event_rows(const PGresult *result, bool *whole);

/* The bytes that this text takes in a frame, without its quotes. */
size_t event_text_size(const char *p, size_t n);

#endif

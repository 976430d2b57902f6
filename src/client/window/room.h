/* The conversations that are known here, the latest first: with one user, or groups. */
#ifndef ROOM_H
#define ROOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "line.h"
#include "thread.h"

/* How far another member has got and read. */
struct mark {
    int64_t user, delivered, read;
};

struct room {
    int64_t id;
    int64_t peer; /* the other user; 0: it is a group */
    char *label;  /* "bob", "#Team"; owned */
    int64_t members;
    int64_t unread, read_upto;
    int64_t latest;     /* the last message that unread takes into account */
    int64_t rank;       /* by which they are sorted */
    struct mark *marks; /* of others; owned */
    size_t marked;
    bool members_asked, marks_known;
    int64_t typist, typing_until; /* who is writing; on clock_ms() */
    struct thread thread;
    struct line line; /* what is typed for it */
    bool listed;      /* the list that is being read has it */
    bool loading;     /* messages are asked for */
    int64_t reading;  /* up to which it is being said that it was read; 0: nothing is */
};

size_t room_count(void);
struct room *room_at(size_t i);
size_t room_index(const struct room *r);

/* The conversation of this id, NULL if it is not known; or made. */
struct room *room_find(int64_t id);
struct room *room_get(int64_t id);

/* By its name, as the command line has it, or the number of a group. NULL: none, or several. */
struct room *room_named(const char *label);

/* A message has come: it moves to the front. */
void room_move(struct room *r, int64_t message);

/* It is not ours any more. */
void room_drop(struct room *r);

/* It was read up to this message, here or elsewhere. */
void room_read(struct room *r, int64_t message);

/* A watermark moves, never back. */
void room_mark(struct room *r, int64_t user, int64_t delivered, int64_t read);
void room_unmark(struct room *r, int64_t user);

/* Have all others got, or read, up to this message? */
enum room_reach { ROOM_STORED, ROOM_DELIVERED, ROOM_READ };
enum room_reach room_reach(const struct room *r, int64_t message);

void room_free_all(void);

#endif

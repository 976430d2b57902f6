/*
 * The groups of the users who are attached here: whom a change of a group is handed to.
 *
 * They are read from the database once a user's first session has its row, and follow the changes
 * of memberships from there on, at the place of this host in the order. What changes while they are
 * read has them read once more. Until they are there, a session of the user is not fed: it catches
 * up, by the database's own view of who may see what.
 */
#ifndef GROUPS_H
#define GROUPS_H

#include <stdbool.h>

#include "event.h"

/* A user who is attached here, as a member of a group. */
struct group_member {
    int64_t user;
    uint64_t since;  /* sees what came after this change, or at it */
    uint64_t joined; /* came by this change, and is told of what follows */
};

/* ready: called when the groups of a user have been read. */
void groups_init(void (*ready)(int64_t user));

/* The user's first session here, and the end of the last one. */
void groups_add(int64_t user);
void groups_remove(int64_t user);

/* The session has its row; grouped: the user was in a group then. False: they must be read first,
 * and ready is called when they are. */
bool groups_opened(int64_t user, bool grouped);

/* Is all known, so that the user's sessions may be fed? */
bool groups_known(int64_t user);

/* Users come, before the change is handed out, or go, after it. */
void groups_before(const struct event *e);
void groups_after(const struct event *e);

/* The members of a group who are attached here; valid until the next change of a membership, or
 * call of the functions above. */
size_t groups_members(int64_t group, const struct group_member **members);

/* How many they are. */
size_t groups_count(int64_t group);

/* The database went back: all are read anew. */
void groups_forget(void);

/* The database may be another one, which lacks the last changes. By those that are still to be
 * handed out here nobody has come into a group yet: whoever has will be told of again. */
void groups_attached(void);

/* Tries again what could not be read. */
void groups_retry(void);

void groups_free(void);

#endif

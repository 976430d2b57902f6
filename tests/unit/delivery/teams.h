/*
 * The groups of the model: who is in which, by the changes that the database has. Whoever comes
 * sees what follows; in the first group, what was there before, too. Of the second somebody is
 * taken to be at every host, as of a group with many members.
 */
#ifndef TEAMS_H
#define TEAMS_H

#include "database.h"

/* A user's row in a group: of the present or the last time there. */
struct member {
    bool is_row, here;
    uint64_t joined, since; /* sees what is behind since */
    uint64_t until;         /* UINT64_MAX: is there */
    uint64_t changed;       /* the change by which it got this state; 0: came with the group */
    uint64_t lost;          /* the last change of it that a failover has lost; 0: none */
};

/* The numbers run from 1; what the broker calls a conversation is GROUP and one of these. */
const struct member *team_member(int64_t group, int64_t user);

/* Has it been made? */
bool team_exists(int64_t group);

/* Is it one of which somebody may be anywhere? */
bool team_is_large(int64_t group);

/* Takes a change of a group, which is the last of all. */
void team_take(const struct message *m);

/* The database went back: what is not lost counts. */
void teams_restore(void);

/* What the database answers to this user who has missed this: message, change of one, or of a
 * group. */
bool team_shows(int64_t user, const struct message *m);

/* Might this user have got it, at whatever time it was looked at? By the log alone. */
bool team_may_show(int64_t user, const struct message *m);

/* Must a connection of this user have got it that is past its place? */
bool team_is_due(int64_t user, const struct message *m);

/* The message that it is or changes, or itself. */
uint64_t message_subject(const struct message *m);

#endif

/*
 * PostgreSQL as the broker sees it, without PostgreSQL: in place of db.c, pool.c, link.c and
 * clock.c of the broker.
 *
 * A statement is executed at one step and answered at a later one; in between anything may happen.
 * What other hosts, an operator or a failover do to the database are functions of their own.
 */
#ifndef DATABASE_H
#define DATABASE_H

#include <stdbool.h>
#include <stdint.h>

/* The seed of all that is left to chance. */
void chance_seed(uint64_t seed);
/* A number below n. */
unsigned chance(unsigned n);

enum { USERS = 8 }; /* with the ids 1 to USERS */

/* A message that was stored, once, what was done to one, or to a group; the last one is
 * database_messages[database_count - 1]. */
struct message {
    uint64_t id; /* of the change */
    uint32_t stamp;
    int64_t sender, receiver; /* 0: it is of a group */
    int64_t group;            /* 0: it is of two users */
    unsigned members; /* by bits, those who have come into the group, or gone; 0: a message */
    bool gone, made;  /* made: with the group itself */
    uint64_t origin;
    char client_id[24];
    unsigned of;     /* a change of that message, by its place here, plus one; 0: it is a message */
    unsigned latest; /* a message: its last change, likewise; 0: none */
    unsigned before; /* a change: the one before, likewise */
    bool replaced;   /* a change: there was a later one of the same, so nobody need see it */
    unsigned born, lost; /* in which of the database's lives; lost 0: it is still there */
};
extern struct message database_messages[];
extern unsigned database_count;

/* Of each user's conversations the one with user N has this number and N more; group N, which has
 * the numbers 1 to GROUPS, that other one and N more. */
enum { CONVERSATION = 1000000, GROUP = 2000000, GROUPS = 5 };

/* Users of other hosts, from this id on: what is announced of who is online is about them. Many
 * have come and gone when a run begins. */
enum { STRANGER = 1000, STRANGERS = 1500 };

/* As this user sees it. */
bool database_shows_online(int64_t stranger, int64_t user);

/* Were both there at one time? */
bool message_coexists(const struct message *a, const struct message *b);

/* What stands there and was not replaced by a later change of the same message. */
bool message_stands(const struct message *m);

/* The message with this id in the client's numbering, or NULL. */
const struct message *database_find(int64_t sender, const char *client_id);

/* --- what may happen next; each does nothing where it does not apply --- */

/* One waiting statement is executed, or one executed statement is answered. False: there is none.
 */
bool database_step(void);

/* Before anything else. */
void database_fill(void);

/* The link connects and attaches this host. */
void database_attach(void);

/* The link is lost, before or after what was under way was committed; so are the readers. */
void database_lose_link(void);

/* Another host stores a message, or changes one, or makes a group, or has a member of one come or
 * go, and rings. */
void database_store_elsewhere(void);
void database_edit_elsewhere(void);
void database_move_elsewhere(void);

/* One of this user's last messages; NULL: there is none. */
const struct message *database_message_of(int64_t user);

/* Somebody at another host writes to a user, who has exchanged a message with them. */
void database_type_elsewhere(void);

/* Has the one exchanged a message with the other? */
bool database_knows(int64_t user, int64_t other);

/* A stranger comes or goes, and rings. */
void database_flip_elsewhere(void);

/* A stranger and a user block each other, or that is lifted; it rings. */
void database_block_elsewhere(void);

/* A doorbell arrives, or is lost. */
void database_ring(bool arrives);

/* Other hosts take this one for dead: its row and those of its sessions are gone. */
void database_remove_host(void);

/* Another server takes over that lacks the last few changes, and who was online: not all strangers
 * come back. The link must be down. */
void database_go_back(void);

bool database_link_is_up(void);

/* Time as the broker sees it. */
void database_pass_time(int64_t ms);

#endif

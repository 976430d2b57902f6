/*
 * Who is writing to whom: told while it is so, to those who are connected, and stored nowhere.
 *
 * What comes while the database is asked waits, each pair of users once and at most so many of
 * them, and goes together. The database knows who has exchanged a message, and so may be told; it
 * answers with what to show here, and rings at each other host where a receiver is. Whatever cannot
 * be told soon is dropped.
 */
#ifndef TYPING_H
#define TYPING_H

#include <stdint.h>

/* The sender, who has a peer here, writes to anybody, or in any conversation; of these two one is
 * 0. */
struct typist {
    int64_t sender, receiver, conversation;
};
void typing_add(const struct typist *t);

/* Asks the database about what waits, if it is time. */
void typing_tell(void);

/* A bell from another host, without its first letter: for each that is to be shown here a blank and
 * the receiver's id, the same with the conversation's and the sender's, a blank and the sender's
 * name. Ignores one that is anything else. */
void typing_rung(const char *shown);

/* The link is lost. */
void typing_link_lost(void);

#endif

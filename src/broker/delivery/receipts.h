/*
 * How far users have got and read their conversations: stored as watermarks, and told to the
 * members who are connected.
 *
 * What comes while a statement is under way waits, and goes together in the next one. Accounts take
 * turns. Watermarks only move forward, so a repeat is harmless, and whoever misses one learns it
 * from the list of conversations.
 */
#ifndef RECEIPTS_H
#define RECEIPTS_H

#include "peer.h"

struct watermark {
    int64_t user, conversation;
    int64_t message; /* the last one that the user has got */
    bool read;       /* and read */
};

void receipts_init(void);

/* Queues a watermark. The asker gets a REPLY once it is stored. */
void receipts_add(struct asker asker, const struct watermark *w);

/* Asks the database to store what waits, if it is time. */
void receipts_store(void);
bool receipts_has_work(void);

/* A bell from another host, without its first letter: for each that is to be shown here the
 * receiver's id, the conversation, the member whose watermarks these are, read_upto and
 * delivered_upto. Ignores one that is anything else. */
void receipts_rung(const char *shown);

/* The link is lost. What waits gets a temporary error. */
void receipts_link_lost(void);

void receipts_free(void);

#endif

/*
 * Which tokens are good: what this host knows of users. Of those whose tokens were ever made void
 * it is read when the link comes up and whenever a doorbell rings; of others when one of their
 * tokens is first shown, and kept as long as there is room.
 *
 * While the link is down nothing is known for sure: the database is then asked about each token
 * that is shown (bearer.c), and channels that were bound before go on until the link is back.
 */
#ifndef REVOCATIONS_H
#define REVOCATIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "db.h"
#include "peer.h"

/* What a token of a user has to be. Of two of them that with the higher generation is the later. */
struct standing {
    int64_t generation; /* that ours must have */
    int64_t revoked;    /* Unix time after which others must have issued theirs */
    bool disabled;
};

/* A row whose columns from this one on are generation, disabled, revoked. */
struct standing standing_from_row(const PGresult *result, int row, int column);

/* May this token be used? IPC_E_NONE, IPC_E_UNAUTHORIZED or IPC_E_DISABLED. */
enum ipc_error standing_judge(const struct standing *s, const struct proof *proof);

/* What this host knows of the user; NULL: nothing. Until the next call of another function. */
const struct standing *revocations_of(int64_t user);

/* False if the database has to be asked about this token. */
bool revocations_know(int64_t user, const struct proof *proof);

/* The database says so of a user; keeps what is newer. */
void revocations_learn(int64_t user, const struct standing *s);

/* This host has issued a token of that generation. It says nothing of tokens from elsewhere: what
 * is known of the user already stays, until the bell is heard. */
void revocations_issued(int64_t user, int64_t generation);

/* This host has made the tokens of the user void: as if the bell had been heard. */
void revocations_made(int64_t user, const struct standing *s);

/* May the peer still act for its user? As standing_judge(). */
enum ipc_error revocations_verdict(const struct peer *p);

/* The link is lost: nothing is known any more. */
void revocations_link_lost(void);

/* A doorbell, or time to look although none was heard. */
void revocations_wanted(void);

/* Starts reading if there is something to read: true. What was read ends the channels of the users
 * whom it concerns. */
bool revocations_read(struct db *listener);

void revocations_free(void);

#endif

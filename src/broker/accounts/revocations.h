/*
 * Which tokens are valid. This host reads all users with revoked tokens when the link comes up, and
 * again whenever a doorbell rings; it reads any other user when that user first shows a token, and
 * caches the result while there is room.
 *
 * While the link is down nothing is certain: each token shown is then checked against the database
 * (bearer.c), and channels bound before go on until the link is back.
 */
#ifndef REVOCATIONS_H
#define REVOCATIONS_H

#include <stdbool.h>
#include <stdint.h>

#include "db.h"
#include "peer.h"

/* What a user's token must satisfy. Of two standings the one with the higher generation is
 * newer. */
struct standing {
    int64_t generation; /* our tokens must carry it */
    int64_t revoked;    /* Unix time; tokens issued elsewhere must be later */
    bool disabled;
};

/* Reads a row; columns from this one on: generation, disabled, revoked. */
struct standing standing_from_row(const PGresult *result, int row, int column);

/* May this token be used? IPC_E_NONE, IPC_E_UNAUTHORIZED or IPC_E_DISABLED. */
enum ipc_error standing_judge(const struct standing *s, const struct proof *proof);

/* What this host knows of the user, or NULL. Valid until another function here is called. */
const struct standing *revocations_of(int64_t user);

/* False if the database must be asked about this token. */
bool revocations_know(int64_t user, const struct proof *proof);

/* Stores what the database says of a user, unless what is known is newer. */
void revocations_learn(int64_t user, const struct standing *s);

/* This host has issued a token of this generation. That says nothing about tokens from elsewhere,
 * so what is known of them stays until the bell arrives. */
void revocations_issued(int64_t user, int64_t generation);

/* This host has revoked the user's tokens: acts as if the bell had arrived. */
void revocations_made(int64_t user, const struct standing *s);

/* May the peer still act for its user? Results as standing_judge(). */
enum ipc_error revocations_verdict(const struct peer *p);

/* The link is lost: forgets everything. */
void revocations_link_lost(void);

/* A doorbell rang, or it is time to look anyway. */
void revocations_wanted(void);

/* Starts reading if there is anything to read, and returns true. The result ends the channels of
 * users who may no longer be online. */
bool revocations_read(struct db *listener);

void revocations_free(void);

#endif

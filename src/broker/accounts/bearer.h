/*
 * Bearer tokens (RFC 6750): issues them, and verifies them against keys and revocations.
 */
#ifndef BEARER_H
#define BEARER_H

#include "peer.h"

/* Takes the keys from the configuration. */
void bearer_init(void);
void bearer_free(void);

/* AUTH: binds the peer to the token's user, or answers with the reason. */
void bearer_prove(struct asker asker, struct text token);

/* A new token for the user, valid for token_lifetime; free(3) it. NULL on failure. */
char *bearer_issue(int64_t user, int64_t generation, const char *name);

#endif

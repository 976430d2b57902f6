/*
 * Bearer tokens (RFC 6750): issued here, and verified against the keys and against what was
 * revoked.
 */
#ifndef BEARER_H
#define BEARER_H

#include "peer.h"

/* Takes the keys from the configuration. */
void bearer_init(void);
void bearer_free(void);

/* AUTH: binds the peer to the user whom the token proves, or says why not. */
void bearer_prove(struct peer *p, uint32_t seq, struct ipc_text token);

/* A token of the user, valid for token_lifetime from now; for free(3). NULL when it fails. */
char *bearer_issue(int64_t user, int64_t generation, const char *name);

#endif

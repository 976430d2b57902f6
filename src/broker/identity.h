/*
 * Who a client is: tokens are issued and verified here, against the keys and against what was
 * revoked.
 */
#ifndef IDENTITY_H
#define IDENTITY_H

#include "peer.h"

/* Takes the keys from the configuration. */
void identity_init(void);
void identity_free(void);

/* AUTH: binds the peer to the user whom the token proves, or says why not. */
void identity_prove(struct peer *p, uint32_t seq, struct ipc_text token);

/* A token of the user, valid for token_lifetime from now; for free(3). NULL when it fails. */
char *identity_issue(int64_t user, int64_t generation, const char *name);

#endif

/* What sessions ask for, and what becomes of it: one function for each message of a session. */
#ifndef REQUESTS_H
#define REQUESTS_H

#include "peer.h"

/* Serves a message that fits its row, unless the peer acts for a user whose token was revoked.
 * NULL, or what is wrong with its payload, which ends the peer. */
const char *request_serve(struct peer *p, const struct ipc_message *m);

#endif

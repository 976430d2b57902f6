/* The requests of sessions: one function for each message that a session may send. */
#ifndef REQUESTS_H
#define REQUESTS_H

#include "peer.h"

/* Serves a message that fits its row of ipc_table.h; refuses it if the peer's token was revoked.
 * Returns NULL, or what is wrong with the payload, which ends the peer. */
const char *request_serve(struct peer *p, const struct ipc_message *m);

#endif

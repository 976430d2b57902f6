/*
 * Counts this host's WebSockets and event streams by user and by address, for
 * max_connections_per_user and max_connections_per_address. Behind a proxy the master sees only the
 * proxy's address; here each client counts under its own.
 */
#ifndef CONNECTIONS_H
#define CONNECTIONS_H

#include "peer.h"

/* Counts a bound peer that is about to come online; false if a limit is reached. */
bool connections_add(struct peer *p);

/* The peer is offline. Harmless if it was not counted. */
void connections_drop(struct peer *p);

/* How many this user has here. */
size_t connections_of(int64_t user);

void connections_free(void);

#endif

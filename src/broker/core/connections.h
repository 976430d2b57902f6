/*
 * How many WebSockets and event streams there are on this host for each user and from each address:
 * max_connections_per_user and max_connections_per_address. Behind a proxy the master sees only the
 * proxy's address; here each client counts by its own.
 */
#ifndef CONNECTIONS_H
#define CONNECTIONS_H

#include "peer.h"

/* Counts a bound peer that is to come online; false if there are as many as there may be. */
bool connections_add(struct peer *p);

/* It is not online any more. Harmless if it was not counted. */
void connections_drop(struct peer *p);

void connections_free(void);

#endif

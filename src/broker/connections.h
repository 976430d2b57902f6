/*
 * How many clients are online on this host for each user, and through trusted proxies from each
 * address: max_connections_per_user and max_clients_per_address. Those that connect directly the
 * master has counted before, more strictly.
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

/*
 * Liveness of hosts: sends this host's beat, and removes hosts whose beat stops.
 *
 * A host whose listening connection ends gets a moment to come back, so that a broker that restarts
 * can take over its sessions and nobody is announced as gone. A host that is connected but does not
 * beat, because it hangs or its network is cut, is declared dead within presence_lease. This broker
 * judges by its monotonic clock and by what it saw itself, never by wall clocks.
 */
#ifndef HOSTS_H
#define HOSTS_H

#include "db.h"

/* The link is up, or lost. */
void hosts_link_up(void);
void hosts_link_lost(void);

/* Sends the next beat if it is due. True if a statement was started. */
bool hosts_listen(struct db *listener);

/* Removes dead hosts, or more of their sessions. The same result. */
bool hosts_sweep(struct db *listener);

void hosts_free(void);

#endif

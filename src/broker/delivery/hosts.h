/*
 * The life of the hosts: this one's beat, and what becomes of the others when theirs stops.
 *
 * A host whose listening connection has ended is given a moment to come back, so that a broker
 * that restarts takes its sessions over and nobody is announced as gone. One that is connected but
 * does not beat, since it hangs or its network is cut, is dead before presence_lease is over. Both
 * are judged by this broker's steady clock and by what it saw itself; wall clocks play no part.
 */
#ifndef HOSTS_H
#define HOSTS_H

#include "db.h"

/* The link is up, or was lost. */
void hosts_link_up(void);
void hosts_link_lost(void);

/* Time for the next beat, if it is: sends it, or removes the dead. True if a statement was
 * started. */
bool hosts_listen(struct db *listener);

void hosts_free(void);

#endif

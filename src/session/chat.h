/* The part of a connection's life that is a WebSocket. */
#ifndef CHAT_H
#define CHAT_H

#include "ask.h"
#include "next.h"

/* Carries frames between the client and the broker until the connection ends. The channel is
 * attached unless next->unproven. A restart of the broker does not end the connection. */
void chat_run(struct client *c, struct ask *a, const struct next *next);

#endif

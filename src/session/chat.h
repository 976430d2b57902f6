/* The part of a connection's life that is a WebSocket. */
#ifndef CHAT_H
#define CHAT_H

#include "ask.h"
#include "next.h"

/* Carries frames between the client and the broker until the connection ends. The channel is
 * attached. The broker may come and go meanwhile; the client may not. */
void chat_run(struct client *c, struct ask *a, const struct next *next);

#endif

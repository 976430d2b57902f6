/* GET /ws: the opening handshake of a WebSocket (RFC 6455 section 4.2). */
#ifndef UPGRADE_H
#define UPGRADE_H

#include "exchange.h"

/* Brings the user online through this connection, answers 101 and sets x->next. A page that will
 * send its token in a frame gets 101 at once. A refusal is a status, or a close code if the client
 * cannot see a status. */
void upgrade_serve(struct exchange *x);

#endif

/* GET /ws: the opening handshake of a WebSocket (RFC 6455 section 4.2). */
#ifndef UPGRADE_H
#define UPGRADE_H

#include "exchange.h"

/* Answers 101 and sets x->next once the user is online through this connection, or at once where a
 * page is to send its token in a frame; or says why not, by a status, or by a close code to who
 * sees no status. */
void upgrade_serve(struct exchange *x);

#endif

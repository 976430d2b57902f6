/*
 * Who a client on a WebSocket is, in its own words: the auth frame, which stands for the token of
 * the handshake where a page opens without one, and brings a new token later on.
 */
#ifndef SIGNIN_H
#define SIGNIN_H

#include "live.h"

/* The client has header_timeout to say who it is. For live_init(). */
void signin_begin(struct live *l);

/* Has it yet to say so? Nothing but an auth frame is welcome then. */
bool signin_waits(const struct live *l);

/* The first message was no auth frame, or not a good one: the end. */
void signin_miss(struct live *l);

/* Takes an auth frame: the first, or one that renews the token. */
void signin_frame(struct live *l, const struct chat_frame *f);

/* What the broker says: the client is online, or is not let in; the renewed token is taken, or is
 * not. */
void signin_attached(struct live *l);
void signin_refused(struct live *l, enum ipc_error error);
void signin_renewed(struct live *l, const struct ipc_message *authed);
void signin_kept(struct live *l, enum ipc_error error);

/* Ends the connection if the time to sign in is over. */
void signin_check_clock(struct live *l, int64_t now);

void signin_free(struct live *l);

#endif

/*
 * The auth frame: it brings the token of a page that opened its WebSocket without one, and later
 * renews the token of any WebSocket.
 */
#ifndef SIGNIN_H
#define SIGNIN_H

#include "live.h"

/* Gives the client header_timeout to send an auth frame. For live_init(). */
void signin_begin(struct live *l);

/* Has its first auth frame yet to come? No other frame is served until then. */
bool signin_waits(const struct live *l);

/* Ends the connection: its first message was not an acceptable auth frame. */
void signin_miss(struct live *l);

/* Takes an auth frame: the first, or one that renews the token. */
void signin_frame(struct live *l, const struct chat_frame *f);

/* What the broker answered: the client is online, or refused; the new token replaces the old one,
 * or the old one is kept. */
void signin_attached(struct live *l);
void signin_refused(struct live *l, enum ipc_error error);
void signin_renewed(struct live *l, const struct ipc_message *authed);
void signin_kept(struct live *l, enum ipc_error error);

/* Ends the connection if the time to sign in is over. */
void signin_check_clock(struct live *l, int64_t now);

void signin_free(struct live *l);

#endif

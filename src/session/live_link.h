/* The broker's channel of a client that is online: it is built up step by step, again and again. */
#ifndef LIVE_LINK_H
#define LIVE_LINK_H

#include "live.h"

/* The channel is gone, or of no use: another one is tried after a while. */
void live_link_lose(struct live *l);

/* The steps: connect and prove who the client is; come online; say what has no answer yet. */
void live_link_prove(struct live *l);
void live_link_attach(struct live *l);
void live_link_ready(struct live *l);

/* Says one thing to the broker, now that the channel is ready. */
void live_link_message(struct live *l, struct pending_item *item);
void live_link_resume(struct live *l);
void live_link_renew(struct live *l);

#endif

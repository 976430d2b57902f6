/* An online client's channel to the broker, rebuilt step by step whenever it breaks. */
#ifndef LIVE_LINK_H
#define LIVE_LINK_H

#include "live.h"

/* Gives the channel up; a new one is tried after a pause. */
void live_link_lose(struct live *l);

/* The steps: connect and prove who the client is; attach; send again what has no answer yet. */
void live_link_prove(struct live *l);
void live_link_attach(struct live *l);
void live_link_ready(struct live *l);

/* Sends one request to the broker. The channel is ready. */
void live_link_post(struct live *l, struct pending_item *item);
void live_link_typing(struct live *l, const struct chat_frame *f);
void live_link_resume(struct live *l);
void live_link_renew(struct live *l);

#endif

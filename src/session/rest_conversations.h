/* The routes below /conversations, but for the history, which is in rest_lists.h. */
#ifndef REST_CONVERSATIONS_H
#define REST_CONVERSATIONS_H

#include "exchange.h"

/* GET /conversations: a page, with "next" for the next one. */
void rest_conversations(struct exchange *x);

/* GET /conversations/:id and /conversations/:id/members */
void rest_conversation(struct exchange *x);
void rest_members(struct exchange *x);

/* PUT /conversations/:id/read */
void rest_read(struct exchange *x);

#endif

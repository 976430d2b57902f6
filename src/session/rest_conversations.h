/* The routes below /conversations, but for histories and members, which are in rest_lists.h, and
 * messages. */
#ifndef REST_CONVERSATIONS_H
#define REST_CONVERSATIONS_H

#include "exchange.h"

/* GET /conversations: a page, with "next" for the next one. */
void rest_conversations(struct exchange *x);

/* GET /conversations/:id */
void rest_conversation(struct exchange *x);

/* POST /conversations: a group, or the conversation with one user. PATCH /conversations/:id */
void rest_make_conversation(struct exchange *x);
void rest_change_conversation(struct exchange *x);

/* POST /conversations/:id/members; PATCH and DELETE /conversations/:id/members/:userId */
void rest_add_member(struct exchange *x);
void rest_change_member(struct exchange *x);
void rest_remove_member(struct exchange *x);

/* PUT /conversations/:id/read */
void rest_read(struct exchange *x);

#endif

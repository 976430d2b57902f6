/* GET /users, /me/blocks, /messages/:userId, and below /conversations/:id members and messages:
 * lists, which come in pages. */
#ifndef REST_LISTS_H
#define REST_LISTS_H

#include "exchange.h"

/* Without a query everybody, in as many pages as it takes; with one a page. */
void rest_users(struct exchange *x);

/* GET /me/blocks, /conversations/:id/members */
void rest_blocks(struct exchange *x);
void rest_members(struct exchange *x);

/* One page; the field Link says where the next one is. */
void rest_history(struct exchange *x);
void rest_conversation_history(struct exchange *x);

#endif

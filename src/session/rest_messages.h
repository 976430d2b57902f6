/* POST /messages and /conversations/:id/messages, and changes of messages: PATCH and DELETE
 * /conversations/:id/messages/:messageId, PUT and DELETE of its reactions/:emoji.
 */
#ifndef REST_MESSAGES_H
#define REST_MESSAGES_H

#include "exchange.h"

void rest_send(struct exchange *x);
void rest_send_there(struct exchange *x);
void rest_edit(struct exchange *x);
void rest_delete(struct exchange *x);
void rest_react(struct exchange *x);
void rest_unreact(struct exchange *x);

#endif

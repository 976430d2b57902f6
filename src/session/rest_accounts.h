/* POST /register, POST /login, POST /password, POST /logout, GET /me, PATCH /me,
 * PUT and DELETE /users/:id/block. */
#ifndef REST_ACCOUNTS_H
#define REST_ACCOUNTS_H

#include "exchange.h"

void rest_register(struct exchange *x);
void rest_login(struct exchange *x);
void rest_password(struct exchange *x);
void rest_logout(struct exchange *x);
void rest_me(struct exchange *x);
void rest_change_me(struct exchange *x);
void rest_block(struct exchange *x);
void rest_unblock(struct exchange *x);

#endif

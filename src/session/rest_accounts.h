/* POST /register, POST /login, POST /password, POST /logout. */
#ifndef REST_ACCOUNTS_H
#define REST_ACCOUNTS_H

#include "exchange.h"

void rest_register(struct exchange *x);
void rest_login(struct exchange *x);
void rest_password(struct exchange *x);
void rest_logout(struct exchange *x);

#endif

/* Requests about accounts: REGISTER, LOGIN, PASSWORD, LOGOUT. Each serves a message that fits its
 * row of ipc_table.h, and returns NULL, or what is wrong with its payload. */
#ifndef ACCOUNTS_H
#define ACCOUNTS_H

#include "peer.h"

const char *accounts_register(struct peer *p, const struct ipc_message *m);
const char *accounts_login(struct peer *p, const struct ipc_message *m);
const char *accounts_password(struct peer *p, const struct ipc_message *m);
const char *accounts_logout(struct peer *p, const struct ipc_message *m);

void accounts_free(void);

#endif

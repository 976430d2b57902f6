/* Requests of users about their own account: ME, CHANGE_ME, BLOCK. Each serves a message that fits
 * its row of ipc_table.h, and returns NULL, or what is wrong with its payload. */
#ifndef ME_H
#define ME_H

#include "peer.h"

const char *me_show(struct peer *p, const struct ipc_message *m);
const char *me_change(struct peer *p, const struct ipc_message *m);
const char *me_block(struct peer *p, const struct ipc_message *m);

#endif

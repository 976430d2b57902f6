/* Requests that make and change conversations, and their members. The database knows who may do
 * what. */
#ifndef CONVERSATIONS_H
#define CONVERSATIONS_H

#include "peer.h"

/* Each serves the messages of its name (ipc_table.h), and returns NULL or what is wrong. */
const char *conversations_direct(struct peer *p, const struct ipc_message *m);
const char *conversations_group(struct peer *p, const struct ipc_message *m);
const char *conversations_group_change(struct peer *p, const struct ipc_message *m);
const char *conversations_member(struct peer *p, const struct ipc_message *m);

#endif

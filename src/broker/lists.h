/* What sessions ask for to read: lists in pages, and what is in them. Each takes a message of a
 * session and returns NULL, or what is wrong with it. */
#ifndef LISTS_H
#define LISTS_H

#include "peer.h"

const char *lists_users(struct peer *p, const struct ipc_message *m);
const char *lists_blocks(struct peer *p, const struct ipc_message *m);
const char *lists_history(struct peer *p, const struct ipc_message *m);
const char *lists_conversations(struct peer *p, const struct ipc_message *m);
const char *lists_conversation(struct peer *p, const struct ipc_message *m);
const char *lists_members(struct peer *p, const struct ipc_message *m);

#endif

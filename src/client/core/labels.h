/* What people call what the protocol numbers: users and conversations, asked for once each. */
#ifndef LABELS_H
#define LABELS_H

#include <stdint.h>

/* The name of a user; "user 7" if the server does not say. Valid until the next call. */
const char *label_of_user(int64_t id);

/* A conversation as the command line names it: "bob" or "#Team"; "#8" if the server does not say.
 */
const char *label_of_conversation(int64_t id);

/* It may have another name now. */
void label_forget_conversation(int64_t id);

#endif

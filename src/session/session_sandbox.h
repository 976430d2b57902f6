/* What a session may still do, from before its client's first byte to its end. */
#ifndef SESSION_SANDBOX_H
#define SESSION_SANDBOX_H

#include <sys/un.h>

#include "conf.h"

/* The one address that a session may connect to: the broker's socket, in the working directory. It
 * lies in read-only memory, and the filter compares with its address. */
extern const struct sockaddr_un session_broker;

/* Makes the filter in the master, once for all sessions. */
void session_sandbox_prepare(void);

/* Confines the session. Its log must be open already. */
void session_sandbox(const struct conf *conf, int log_fd);

#endif

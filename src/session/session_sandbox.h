/* What a session may still do, from before its client's first byte to its end. */
#ifndef SESSION_SANDBOX_H
#define SESSION_SANDBOX_H

#include <sys/un.h>

#include "conf.h"

/* The one address that a session may connect to: the broker's socket, in the working directory. It
 * lies in memory that cannot be written to, and the filter knows where. */
extern const struct sockaddr_un session_broker;

/* Does in the master what is the same for all sessions. */
void session_sandbox_prepare(void);

/* Closes the session in. Its log must be open, it has at most one more descriptor. */
void session_sandbox(const struct conf *conf, int log_fd);

#endif

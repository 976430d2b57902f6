/*
 * A session: one process, one client, for the life of its connection.
 *
 * It waits as a spare until the master hands it a client, uses TLS if the client came in on a TLS
 * address, serves HTTP requests one after the other, becomes a WebSocket or an event stream if the
 * client asks for it, and exits. It parses every byte that a stranger sends, and holds no secrets
 * but that stranger's own, such as the token.
 */
#ifndef SESSION_H
#define SESSION_H

#include <stdint.h>

#include "conf.h"

/* Runs a session and never returns. mark: of its id in the log (log.h). client: a connected socket,
 * with TLS if tls is set; -1: wait for one to arrive over the socket handover (SCM_RIGHTS). log_fd:
 * where the log goes, -1: syslog(3). conf holds no secrets. The working directory has the broker's
 * socket; it may be the root. */
void session_main(const struct conf *conf, uint32_t mark, int client, bool tls, int handover,
                  int log_fd) __attribute__((noreturn));

/* Loads what every session needs before the first one is forked, so that they share its memory. */
void session_warm_up(void);

#endif

/*
 * A session: one process, one client, for the life of its connection.
 *
 * It waits as a spare until the master hands it a client, speaks TLS if that is what the address is
 * for, serves requests of HTTP one after the other, becomes a WebSocket if the client asks for it,
 * and exits. It parses every byte that a stranger sends, and holds no secret but the token that the
 * stranger sent.
 */
#ifndef SESSION_H
#define SESSION_H

#include "conf.h"

/* Runs a session and never returns. client: a connected socket, of which tls says what it speaks,
 * or -1: wait for one to arrive over the socket handover (SCM_RIGHTS). log_fd: where the log goes,
 * -1: syslog(3). conf holds no secrets. The working directory is the one with the broker's socket;
 * it may be the root. */
void session_main(const struct conf *conf, int client, bool tls, int handover, int log_fd)
    __attribute__((noreturn));

/* Loads what every session needs before the first one is forked, so that they share its memory. */
void session_warm_up(void);

#endif

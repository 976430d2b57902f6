/*
 * A session: one process, one client, for the life of its connection.
 *
 * It waits as a spare until the master hands it a client, serves requests of HTTP one after the
 * other, becomes a WebSocket if the client asks for it, and exits. It parses every byte that a
 * stranger sends, and holds no secret but the token that the stranger sent.
 */
#ifndef SESSION_H
#define SESSION_H

#include "conf.h"

/* Runs a session and never returns. client: a connected socket, or -1: wait for one to arrive over
 * the socket handover (SCM_RIGHTS). conf holds no secrets. The working directory is run_dir. */
void session_main(const struct conf *conf, int client, int handover) __attribute__((noreturn));

/* Loads what every session needs before the first one is forked, so that they share its memory. */
void session_warm_up(void);

#endif

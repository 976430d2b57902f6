/*
 * The master: accepts connections, keeps spare sessions ahead of need, restarts what dies, and
 * takes everything down in order. It reads no byte of a client, speaks no SQL and holds no secret.
 */
#ifndef MASTER_H
#define MASTER_H

#include "conf.h"
#include "sessions.h"
#include "sockets.h"
#include "takeover.h"

struct master {
    struct conf *conf; /* without secrets once master_run() has begun to serve */
    struct sockets *sockets;
    int log_fd; /* -1: syslog(3) */
    session_function *session;
    /* Reads the configuration anew into fresh; false if it is not acceptable, which was logged. */
    bool (*reload)(struct conf *fresh);
    struct takeover_program program; /* for a successor */
    struct inheritance inherited;    /* from the master before; none: word and lock are -1 */
};

/* Serves until it is told to stop, or another one has taken over and its last session has ended.
 * Returns the exit status. */
int master_run(const struct master *m);

#endif

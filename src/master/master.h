/*
 * The master: accepts connections, keeps spare sessions ahead of need, restarts what dies, and
 * takes everything down in order. It reads no byte of a client, speaks no SQL and holds no secret.
 */
#ifndef MASTER_H
#define MASTER_H

#include <stdbool.h>
#include <stdint.h>

#include "conf.h"
#include "sessions.h"
#include "sockets.h"
#include "takeover.h"

struct master {
    struct conf *conf; /* master_run() wipes its secrets */
    struct sockets *sockets;
    int log_fd; /* -1: syslog(3) */
    session_function *session;
    /* Rereads the configuration into fresh; false, and logged, if it is not acceptable. */
    bool (*reload)(struct conf *fresh);
    int64_t (*tls_expiry)(void);     /* of the certificate in use, as in facts.h */
    struct takeover_program program; /* for a successor */
    struct inheritance inherited;    /* from the previous master; if none, word and lock are -1 */
};

/* Serves until told to stop, or until a successor has taken over and the last session has ended.
 * Returns the exit status. */
int master_run(const struct master *m);

#endif

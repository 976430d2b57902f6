/*
 * How the programs that the master starts begin: the same way for each of them.
 *
 * They find what they need at fixed descriptors, take their configuration from one of them, and
 * know nothing of the configuration's files, the command line or the environment.
 */
#ifndef ROLE_H
#define ROLE_H

#include <signal.h>

#include "conf.h"

/* By this signal the master ends them; SIGTERM and others, which may be sent to all processes at
 * once, they ignore: what becomes of those the master decides. */
enum { ROLE_STOP = SIGUSR1 };

enum {
    ROLE_FD_CONF = 3, /* sealed memory with the keys that this role gets; shared offset: pread(2) */
    ROLE_FD_AUTH = 4, /* packets between the broker and the auth workers; each has one end */
    ROLE_FD_BROKER = 5, /* broker only: the listening socket of the sessions */
    ROLE_FD_STATUS = 6, /* broker only: to the master, a byte each; see below */
    ROLE_FD_LOG = 7,    /* where the log goes, unless it is syslog(3) */
    ROLE_FD_SIGN = 8,   /* packets between the broker and the signer; each has one end */
    ROLE_FD_KEYS = 9,   /* signer only: sealed memory with the private keys of TLS */
    ROLE_FD_COUNT = 10,
};

/* What the broker reports. */
enum {
    ROLE_UP = 'u',      /* the database is of use */
    ROLE_DOWN = 'd',    /* it is away */
    ROLE_REFUSED = 'r', /* it refuses db_user: there may be another password by now */
};

/* Reads the configuration, starts the log, sets the title and sees to it that this process ends
 * when the master does. Dies when the program was not started by chatd. */
void role_start(struct conf *conf, const char *name, int argc, char **argv);

/* Where the log of this role goes: a descriptor, or -1 for syslog(3). */
int role_log_fd(const struct conf *conf);

#endif

/*
 * The common start of the programs that the master runs.
 *
 * They find what they need at fixed descriptors, take their configuration from one of them, and
 * know nothing of the configuration's files, the command line or the environment.
 */
#ifndef ROLE_H
#define ROLE_H

#include <signal.h>

#include "conf.h"

/* The master ends them with this signal. They ignore SIGTERM and others that may be sent to all
 * processes at once: only the master acts on those. */
enum { ROLE_STOP = SIGUSR1 };

enum {
    ROLE_FD_CONF = 3, /* sealed memory with the keys that this role gets; shared offset: pread(2) */
    ROLE_FD_AUTH = 4, /* packets between the broker and the auth workers; each has one end */
    ROLE_FD_BROKER = 5,   /* broker only: the listening socket of the sessions */
    ROLE_FD_STATUS = 6,   /* broker only: to the master, a byte each; see below */
    ROLE_FD_LOG = 7,      /* where the log goes, unless it is syslog(3) */
    ROLE_FD_SIGN = 8,     /* packets between the broker and the signer; each has one end */
    ROLE_FD_KEYS = 9,     /* signer only: sealed memory with the private keys of TLS */
    ROLE_FD_CONTROL = 10, /* broker only: packets with an operator's connection (control.h) */
    ROLE_FD_ADMIN = 11,   /* exporter only: the listening socket of admin_listen */
    ROLE_FD_MASTER = 12,  /* exporter only: packets to and from the master (monitor.h) */
    ROLE_FD_COUNT = 13,
};

/* Beside a connection on ROLE_FD_CONTROL: it is the exporter's. Otherwise it is an operator's, and
 * this is what the master says of itself. */
#define ROLE_FOR_EXPORTER "exporter\n"

/* What the broker reports. */
enum {
    ROLE_UP = 'u',      /* the database is up */
    ROLE_DOWN = 'd',    /* it is away */
    ROLE_REFUSED = 'r', /* it refuses db_user: the password may have changed */
};

/* The program's second argument, to the broker: try the database, and end with status 0 if it can
 * be used. */
#define ROLE_TRIAL "trial"
bool role_is_trial(int argc, char **argv); /* before role_start(), which sets the title there */

/* Reads the configuration, starts the log, sets the title, and makes this process end when the
 * master does. Dies if chatd did not start the program. */
void role_start(struct conf *conf, const char *name, int argc, char **argv);

/* Where the log of this role goes: a descriptor, or -1 for syslog(3). */
int role_log_fd(const struct conf *conf);

#endif

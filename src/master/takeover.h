/*
 * Updates without interruption: another chatd begins to serve, while existing sessions stay in this
 * one until their clients leave.
 *
 * The master starts the program that is now at its own path, with its own arguments. The successor
 * gets the listening sockets the way systemd hands them over and, at numbers in the environment
 * variable CHATD_TAKEOVER, a pipe for its first word, the lock of run_dir, and the secrets, which
 * its own sources may no longer have. It rereads its configuration and has its own broker, auth
 * workers and spares. Nothing changes here until it says that it is ready. If it ends first, says
 * that it cannot start, or says nothing for half a minute, nothing changes at all, and another
 * attempt is possible.
 */
#ifndef TAKEOVER_H
#define TAKEOVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct sockets;

/* What to start, and how. */
struct takeover_program {
    const char *path;   /* absolute, not resolved: a symbolic link may change by then */
    const char *folder; /* the working directory to start it in */
    char *const *argv;  /* as for execv(3); without secrets */
};

/* --- in the master that is to be replaced --- */

/* Starts the successor. False, and logged, if that fails. */
bool takeover_start(const struct takeover_program *program, const struct sockets *sockets);

/* Has a successor been started that is neither ready nor gone? */
bool takeover_under_way(void);

/* The pipe that it speaks through, to call takeover_listen() on; -1: none. */
int takeover_fd(void);
void takeover_listen(void);

/* The pid of the successor once it is ready, else 0. */
pid_t takeover_successor(void);

/* From now on it is on its own: its death is no failed takeover. */
void takeover_let_go(void);

/* Ends it if its time is over. Returns when that is, as clock_ms(), or CLOCK_NEVER. */
int64_t takeover_due(void);

/* Ends it because this server ends. */
void takeover_cancel(void);

/* Was this child the successor? If so, notes that it died. */
bool takeover_reaped(pid_t pid, int status);

/* --- in the successor --- */

/* What the previous master handed over, besides the sockets. */
struct inheritance {
    int word; /* where to say that we are ready; all of these are -1 if nothing was handed over */
    int lock; /* of run_dir */
    int secrets; /* for conf_take_secrets() */
    bool bound;  /* the sockets were bound by a chatd */
    int admin;   /* the socket of admin_listen; -1: none */
};

/* Finds it, and removes the variable from the environment. */
void takeover_inherit(struct inheritance *in);

/* Tells the previous master why we cannot start. */
void takeover_refuse(const struct inheritance *in, const char *reason);

#endif

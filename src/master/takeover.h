/*
 * An update without an interruption: another chatd begins to serve, and the sessions that there are
 * go on in this one until their clients leave.
 *
 * The master starts the program that now lies where its own was, with the arguments that its own
 * got. The successor gets the listening sockets as systemd hands them over, and, numbered by the
 * environment variable CHATD_TAKEOVER, a pipe for its first word, the lock of run_dir, and the
 * secrets, which its own sources may not have any more. It reads its configuration anew and has
 * broker, auth workers and spares of its own. Until it says that it is ready nothing changes here;
 * if it ends before, says that it cannot start, or says nothing for half a minute, nothing ever
 * does, and another attempt may be made.
 */
#ifndef TAKEOVER_H
#define TAKEOVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct sockets;

/* What to start, and how. */
struct takeover_program {
    const char *path; /* absolute, and not resolved: a symbolic link may point elsewhere by then */
    const char *folder; /* the working directory to start it in */
    char *const *argv;  /* as for execv(3); without secrets */
};

/* --- in the master that is to be replaced --- */

/* Starts the successor. False, with a line in the log, if that failed. */
bool takeover_start(const struct takeover_program *program, const struct sockets *sockets);

/* Has a successor been started that is neither ready nor gone? */
bool takeover_under_way(void);

/* Where it speaks, -1 for nowhere; to be read when readable. */
int takeover_fd(void);
void takeover_listen(void);

/* The pid of the successor once it is ready, else 0. */
pid_t takeover_successor(void);

/* From now on it is on its own: when it dies, that is no failed takeover. */
void takeover_let_go(void);

/* Ends it if its time is over. Returns when that is, as clock_ms(), or CLOCK_NEVER. */
int64_t takeover_due(void);

/* Ends it, since this server ends itself. */
void takeover_cancel(void);

/* Was this child the successor? Then it is noted as dead. */
bool takeover_reaped(pid_t pid, int status);

/* --- in the successor --- */

/* What the master before has handed over, beside the sockets. */
struct inheritance {
    int word;    /* where to say that we are ready; all of these -1: nothing was handed over */
    int lock;    /* of run_dir */
    int secrets; /* for conf_take_secrets() */
    bool bound;  /* the sockets were bound by a chatd */
};

/* Finds it, and removes the variable from the environment. */
void takeover_inherit(struct inheritance *in);

/* Tells the master before why we cannot start. */
void takeover_refuse(const struct inheritance *in, const char *reason);

#endif

/*
 * Turns: logins for one account from one address are looked at one after the other, each after the
 * wait that wrong passwords before it have earned (limits.h).
 *
 * A hundred guesses at a time are therefore checked as slowly as a hundred in a row. While a login
 * waits it takes no auth worker and no connection to the database. Nor do all accounts of one
 * address have their turns at one time: there is always room for others between them.
 */
#ifndef LOGINS_H
#define LOGINS_H

#include "ipc.h"
#include "peer.h"

struct source;

enum verdict { LOGIN_UNDECIDED, LOGIN_WRONG, LOGIN_RIGHT };

/* One login; part of the request that it is. Its members are logins.c's. */
struct login {
    struct source *source; /* NULL: not entered */
    struct login *next;
    uint64_t peer;
    bool busy;    /* counts among those of its address that have their turn */
    bool charged; /* a failure was taken from the address's allowance */
    void (*turn)(void *arg, enum ipc_error error);
    void *arg;
};

/* Queues a login for the account of this name by the peer's client. turn is called when the
 * password may be looked at, never before this returns; with an error when it never will be, since
 * the service ends. Otherwise the login was refused: IPC_E_LOGINS, or IPC_E_OVERLOADED. */
enum ipc_error logins_enter(struct login *l, struct ipc_text name, const struct peer *p,
                            void (*turn)(void *arg, enum ipc_error error), void *arg);

/* The login whose turn it was has ended so. Harmless for one that did not enter. */
void logins_leave(struct login *l, enum verdict verdict);

/* Refuses those that wait. */
void logins_free(void);

#endif

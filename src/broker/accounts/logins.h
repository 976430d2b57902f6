/*
 * Turns: logins for one account from one address are checked one at a time, each after the delay
 * that earlier wrong passwords cause (limits.h).
 *
 * So a hundred concurrent guesses are checked as slowly as a hundred in a row. A waiting login
 * holds no auth worker and no database connection. The number of turns that one address has at once
 * is limited, too, those of accounts known there apart from the others: what is beyond waits here,
 * and not in the queue of the auth workers, which has few places.
 */
#ifndef LOGINS_H
#define LOGINS_H

#include <sys/queue.h>

#include "ipc.h"
#include "peer.h"

struct source;

enum verdict { LOGIN_UNDECIDED, LOGIN_WRONG, LOGIN_RIGHT };

/* One login; embedded in its request. Only logins.c touches the members. */
struct login {
    struct source *source; /* NULL: not entered */
    STAILQ_ENTRY(login) next;
    uint64_t peer;
    bool busy;    /* counted as having its turn, by address */
    bool known;   /* when its turn came, the address was known for the account */
    bool charged; /* took a failure from the address's allowance */
    void (*turn)(void *arg, enum ipc_error error);
    void *arg;
};

/* Queues a login of the peer's client for this account. IPC_E_NONE: turn will be called when the
 * password may be checked, never before this returns, or with an error if the service ends first.
 * Otherwise the login is refused: IPC_E_LOGINS or IPC_E_OVERLOADED. */
enum ipc_error logins_enter(struct login *l, struct text name, const struct peer *p,
                            void (*turn)(void *arg, enum ipc_error error), void *arg);

/* In its turn: does it come from an address that is known for its account? */
bool logins_known(const struct login *l);

/* Ends the login's turn with this verdict. Harmless for one that did not enter. */
void logins_leave(struct login *l, enum verdict verdict);

/* How many wait for their turn. */
size_t logins_waiting(void);

/* Refuses all that wait. */
void logins_free(void);

#endif

/*
 * The sessions as the master sees them: spares that wait for a client, and those that have one.
 *
 * A spare holds one end of a socket pair, over which it gets its client's descriptor; the master
 * keeps no descriptor of a session with a client. The number of spares follows demand, between
 * min_spare and max_spare: more while clients come faster than spares are made.
 */
#ifndef SESSIONS_H
#define SESSIONS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "addresses.h"
#include "conf.h"
#include "identity.h"
#include "netaddr.h"

/* What a forked child does: serves client, with TLS or not, or, if client is -1, the one that comes
 * over handover with a byte that says whether it speaks TLS. mark: of its id in the log. Never
 * returns. */
typedef void session_function(const struct conf *conf, uint32_t mark, int client, bool tls,
                              int handover, int log_fd);

/* who: the user that the sessions run as; kept. */
void sessions_init(const struct conf *conf, int log_fd, const struct identity *who,
                   session_function *run);

/* A connection, with TLS or not. */
struct caller {
    int fd;
    bool tls;
    struct netaddr from;
    struct address *address; /* NULL: not counted */
};

/* Gives it to a spare, or to a session forked for it. Takes over fd and address, which it leaves
 * when the session ends. */
void sessions_serve(const struct caller *caller);

/* True while max_clients allows one more. */
bool sessions_room(void);
int sessions_clients(void);
int sessions_spares(void);

/* The reasons for which sessions ended otherwise than they should, from 0 on; NULL at the end. And
 * how many did. */
const char *sessions_failure(unsigned i);
uint64_t sessions_failures(unsigned i);

/* Makes a few spares if there are too few, ends one if there are too many. Returns when to call
 * again, as clock_ms(): now if there is more to do. */
int64_t sessions_keep_spares(void);

/* Ends the spares; new ones will have the new configuration. */
void sessions_renew_spares(void);

/* Was this child a session? If so, forgets it. */
bool sessions_reaped(pid_t pid, int status);

/* A child was halted, by SIGSTOP or the like, or continued. Nothing if it is not a session. */
void sessions_halted(pid_t pid, bool halted);

/* Ends the sessions that have been halted for presence_lease: each would show its user as online,
 * though its client may have left. Returns when to call again, as clock_ms(), or CLOCK_NEVER. */
int64_t sessions_end_halted(void);

/* Ends the spares for good; sessions with a client stay. */
void sessions_retire(void);

/* Ends the spares for good, and begins to tell all other sessions, by SIGTERM, that the service
 * ends: one after the other within the first part of ms milliseconds, so that their clients do not
 * all reconnect at the same moment. */
void sessions_drain(int64_t ms);

/* Tells the sessions that are due. Returns when the next one is, as clock_ms(), or CLOCK_NEVER. */
int64_t sessions_drain_due(void);

/* Ends the spares for good and sends the signal to all others at once. */
void sessions_stop(int signal);

#endif

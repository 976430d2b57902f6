/* Void tokens; see revocations.h. */
#include "revocations.h"

#include <stdlib.h>

#include "broker.h"
#include "link.h"
#include "log.h"
#include "map.h"
#include "repeats.h"

enum { ROWS_AT_ONCE = 10000, OTHERS_MOST = 65536 };

static struct map users;  /* user id -> struct standing, of users with revoked tokens */
static struct map others; /* the same for other users who showed a token: a cache */
static bool current;      /* all revocations were read since the link came up */
static int64_t position;  /* all changes up to here were read */
static bool revocations_due = true;

struct standing standing_from_row(const PGresult *result, int row, int column)
{
    return (struct standing){.generation = db_int(result, row, column),
                             .disabled = db_bool(result, row, column + 1),
                             .revoked = db_int(result, row, column + 2)};
}

enum ipc_error standing_judge(const struct standing *s, const struct proof *proof)
{
    if (s->disabled)
        return IPC_E_DISABLED;
    /* A token of the same second as the revocation may be older than it: refuse it. */
    bool good = proof->foreign ? proof->issued > s->revoked : proof->generation == s->generation;
    return good ? IPC_E_NONE : IPC_E_UNAUTHORIZED;
}

const struct standing *revocations_of(int64_t user)
{
    const struct standing *known = map_get(&users, (uint64_t)user);
    return known ? known : map_get(&others, (uint64_t)user);
}

bool revocations_know(int64_t user, const struct proof *proof)
{
    /* A generation ahead of what is known: the user has just logged in again, and the bell has not
     * arrived yet. */
    const struct standing *s = revocations_of(user);
    return current && !proof->foreign && s && proof->generation <= s->generation;
}

static void forget(struct map *m)
{
    void *known;
    for (size_t at = 0; (known = map_next(m, &at));)
        free(known);
    map_free(m);
}

/* Stores it if it is newer. */
static void keep(struct map *m, int64_t user, const struct standing *s)
{
    struct standing *known = map_get(m, (uint64_t)user);
    if (known && s->generation <= known->generation)
        return;
    if (!known) {
        known = xcalloc(1, sizeof(*known));
        map_put(m, (uint64_t)user, known);
    }
    *known = *s;
}

void revocations_learn(int64_t user, const struct standing *s)
{
    if (map_get(&users, (uint64_t)user)) {
        keep(&users, user, s);
        return;
    }
    if (others.count >= OTHERS_MOST)
        forget(&others);
    keep(&others, user, s);
}

void revocations_issued(int64_t user, int64_t generation)
{
    if (!revocations_of(user))
        revocations_learn(user, &(struct standing){.generation = generation});
}

enum ipc_error revocations_verdict(const struct peer *p)
{
    const struct standing *s = current ? revocations_of(p->user) : NULL;
    return s ? standing_judge(s, &p->proof) : IPC_E_NONE;
}

static void forget_all(void)
{
    forget(&users);
    forget(&others);
}

void revocations_link_lost(void)
{
    /* Read everything again afterwards: the database may go back meanwhile. */
    forget_all();
    current = false;
    position = 0;
    revocations_due = true;
}

void revocations_wanted(void)
{
    revocations_due = true;
}

/* Ends the attached channels of users who may no longer be online. Their sessions reconnect, show
 * their tokens again, and tell the clients why they are refused. A channel that is not attached
 * stays: its further requests are refused, and answers under way still arrive. */
static void end_channels(void)
{
    struct peer *p;
    for (size_t at = 0; (p = peer_next(&at));) {
        if (p->feed.state == FEED_OFF || !revocations_verdict(p))
            continue;
        const struct log_session session = peer_session(p);
        repeats_about(&session, LOG_L_INFO, &p->client,
                      "session %d: the token of user %lld was revoked", p->pid, (long long)p->user);
        peer_end(p, NULL);
    }
}

void revocations_made(int64_t user, const struct standing *s)
{
    revocations_learn(user, s);
    end_channels();
}

static void on_read(void *arg, const PGresult *result)
{
    (void)arg;
    if (!link_ok(result, "reading revocations"))
        return;
    int rows = PQntuples(result);
    for (int i = 0; i < rows; i++) {
        struct standing s = standing_from_row(result, i, 2);
        int64_t user = db_int(result, i, 1);
        free(map_remove(&others, (uint64_t)user));
        keep(&users, user, &s);
        position = db_int(result, i, 0);
    }
    bool fresh = !current;
    if (rows >= ROWS_AT_ONCE)
        revocations_due = true;
    else
        current = true;
    if (current && (fresh || rows > 0))
        end_channels();
}

bool revocations_read(struct db *listener)
{
    if (!revocations_due)
        return false;
    revocations_due = false;
    struct db_params p = {0};
    db_param_int8(&p, position);
    db_param_int4(&p, ROWS_AT_ONCE);
    db_run(listener, STATEMENT_REVOCATION_READ, &p, on_read, NULL);
    return true;
}

void revocations_free(void)
{
    forget_all();
}

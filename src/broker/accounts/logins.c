/* Turns of logins; see logins.h. */
#include "logins.h"

#include <stdlib.h>

#include "broker.h"
#include "clock.h"
#include "limits.h"
#include "log.h"
#include "map.h"
#include "tally.h"

/* Logins of all sources that wait for their turn. Unknown addresses may fill half of the places;
 * the rest is for known ones. One address cannot fill those with accounts of its own either: it
 * gets as many as may arrive before the first has its turn. */
enum {
    WAITING_MOST = 2048,
    WAITING_STRANGERS = WAITING_MOST / 2,
    WAITING_ADDRESS = WAITING_MOST / 8,
};

/* An account and an address. Exists while one of its logins does. */
struct source {
    uint64_t account, address;
    STAILQ_HEAD(, login) logins; /* the first one has its turn, or waits out its delay */
    long long count;
    struct loop_timer timer;
};

static struct map sources;
static int waiting;
static struct tally waiting_from; /* by address */
static struct tally busy_from[2]; /* by address: logins that have their turn; those known there */

enum { BUSY_AGAIN_MS = 20 };

/* How many logins of one address may have their turn at once: enough to keep the auth workers busy,
 * too few to fill their queue. */
static int64_t most_busy(void)
{
    return broker.conf.auth_workers + broker.conf.auth_queue / 4;
}

/* Both numbers are unpredictable, so nobody can find two sources with the same key. */
static uint64_t key_of(uint64_t account, uint64_t address)
{
    return account ^ address;
}

static void on_time(void *arg)
{
    struct source *s = arg;
    struct login *l = STAILQ_FIRST(&s->logins);
    l->known = limits_known(s->account, s->address);
    if (s->address && peer_find(l->peer)) {
        l->busy = tally_add(&busy_from[l->known], s->address, most_busy());
        if (!l->busy) {
            loop_timer_set(broker.loop, &s->timer, BUSY_AGAIN_MS);
            return;
        }
    }
    waiting--;
    if (s->address)
        tally_drop(&waiting_from, s->address);
    l->turn(l->arg, IPC_E_NONE);
}

size_t logins_waiting(void)
{
    return (size_t)waiting;
}

/* Starts the delay of the queue's first login. Never calls it directly: the one that leaves may be
 * deep in a call of its own. If the peer has gone, there is no delay: no password will be checked,
 * and others need the place. */
static void start_first(struct source *s)
{
    bool there = peer_find(STAILQ_FIRST(&s->logins)->peer);
    int64_t ms = there ? limits_delay(s->account, s->address, clock_ms()) : 0;
    log_debug("a login waits %lld ms", (long long)ms);
    loop_timer_set(broker.loop, &s->timer, ms);
}

static struct source *find_source(uint64_t account, uint64_t address)
{
    uint64_t key = key_of(account, address);
    struct source *s = map_get(&sources, key);
    if (!s) {
        s = xcalloc(1, sizeof(*s));
        *s = (struct source){.account = account, .address = address};
        STAILQ_INIT(&s->logins);
        s->timer = (struct loop_timer){.call = on_time, .arg = s};
        map_put(&sources, key, s);
    }
    return s;
}

static void forget_source(struct source *s)
{
    loop_timer_stop(broker.loop, &s->timer);
    map_remove(&sources, key_of(s->account, s->address));
    free(s);
}

/* At an address known for the account, a login is not refused for what others at that address do:
 * its own wrong passwords slow it down. */
static enum ipc_error admit(struct login *l, uint64_t account, uint64_t address)
{
    const struct source *s = map_get(&sources, key_of(account, address));
    bool stranger = !limits_known(account, address);
    if (waiting >= (stranger ? WAITING_STRANGERS : WAITING_MOST))
        return IPC_E_OVERLOADED;
    if (s && s->count > broker.conf.auth_queue)
        return IPC_E_LOGINS;
    if (stranger && !limits_take_failure(address, clock_ms()))
        return IPC_E_LOGINS;
    if (address && !tally_add(&waiting_from, address, WAITING_ADDRESS)) {
        if (stranger)
            limits_return_failure(address);
        return IPC_E_LOGINS;
    }
    l->charged = stranger;
    return IPC_E_NONE;
}

enum ipc_error logins_enter(struct login *l, struct text name, const struct peer *p,
                            void (*turn)(void *arg, enum ipc_error error), void *arg)
{
    uint64_t account = limits_account(name.p, name.n), address = p->address;
    enum ipc_error error = admit(l, account, address);
    if (error)
        return error;
    struct source *s = find_source(account, address);
    l->source = s;
    l->peer = p->id;
    l->turn = turn;
    l->arg = arg;
    STAILQ_INSERT_TAIL(&s->logins, l, next);
    waiting++;
    if (++s->count == 1)
        start_first(s);
    return IPC_E_NONE;
}

bool logins_known(const struct login *l)
{
    return l->known;
}

static void remember(const struct login *l, enum verdict verdict)
{
    const struct source *s = l->source;
    if (verdict == LOGIN_WRONG)
        limits_failed(s->account, s->address, clock_ms());
    else if (l->charged)
        limits_return_failure(s->address);
    if (verdict == LOGIN_RIGHT)
        limits_succeeded(s->account, s->address, clock_ms());
}

void logins_leave(struct login *l, enum verdict verdict)
{
    struct source *s = l->source;
    if (!s)
        return;
    remember(l, verdict);
    if (l->busy)
        tally_drop(&busy_from[l->known], s->address);
    STAILQ_REMOVE_HEAD(&s->logins, next);
    l->source = NULL;
    if (--s->count > 0)
        start_first(s);
    else
        forget_source(s);
}

void logins_free(void)
{
    struct source *s;
    for (size_t at = 0; (s = map_next(&sources, &at)); at = 0) {
        struct login *l = STAILQ_FIRST(&s->logins);
        l->turn(l->arg, IPC_E_UNAVAILABLE);
    }
    map_free(&sources);
    tally_free(&waiting_from);
    tally_free(&busy_from[false]);
    tally_free(&busy_from[true]);
}

/* The broker's numbers; see metrics.h. */
#include "metrics.h"

#include <time.h>

#include "buf.h"
#include "clock.h"
#include "commits.h"
#include "deliveries.h"
#include "edits.h"
#include "exposition.h"
#include "hashing.h"
#include "histogram.h"
#include "link.h"
#include "logins.h"
#include "peer.h"
#include "pool.h"
#include "position.h"
#include "retention.h"
#include "sends.h"
#include "signing.h"

/* --- clients --- */

struct metrics_peers metrics_count_peers(void)
{
    struct metrics_peers n = {0};
    const struct peer *p;
    for (size_t at = 0; (p = peer_next(&at));) {
        n.silent += p->state == IPC_IS_SILENT;
        n.fresh += p->state == IPC_IS_NEW;
        n.requests += p->state == IPC_IS_BOUND;
        n.online += p->state == IPC_IS_ATTACHED;
        n.behind += p->feed.state == FEED_BEHIND || p->feed.state == FEED_CATCHING;
        n.bytes += ipc_channel_queued(&p->channel);
    }
    return n;
}

static void put_peers(struct buf *out)
{
    static const char name[] = "chatd_clients";
    struct metrics_peers n = metrics_count_peers();
    exposition_begin(out, name, EXPOSITION_GAUGE,
                     "Clients that the broker knows: online, with requests of a user, or new.");
    exposition_put_for(out, name, "kind", "online", n.online);
    exposition_put_for(out, name, "kind", "requests", n.requests);
    exposition_put_for(out, name, "kind", "new", n.fresh + n.silent);
    exposition_one(out, "chatd_clients_behind", EXPOSITION_GAUGE,
                   "Online clients that read too slowly, or catch up.", n.behind);
    exposition_one(out, "chatd_client_queue_bytes", EXPOSITION_GAUGE,
                   "What waits in the broker for clients to read it, together.", n.bytes);
}

/* --- what they ask for, and are refused --- */

static void put_requests(struct buf *out)
{
    static const char name[] = "chatd_requests_total";
    exposition_begin(out, name, EXPOSITION_COUNTER,
                     "Requests of clients that have reached the broker, by type.");
    for (int type = IPC_NONE + 1; type < IPC_TYPE_COUNT; type++)
        if (ipc_rule((enum ipc_type)type)->sender == IPC_BY_SESSION)
            exposition_put_for(out, name, "type", ipc_rule((enum ipc_type)type)->name,
                               peers_served((enum ipc_type)type));
}

static void put_refusals(struct buf *out)
{
#define REASON(name, code, status, temporary, text) [IPC_E_##name] = #name,
    static const char *const reasons[IPC_ERROR_COUNT] = {IPC_ERRORS(REASON)};
    static const char name[] = "chatd_refusals_total";
    exposition_begin(out, name, EXPOSITION_COUNTER,
                     "Requests that the broker has refused, by reason.");
    for (int error = IPC_E_NONE + 1; error < IPC_ERROR_COUNT; error++)
        exposition_put_for(out, name, "reason", reasons[error],
                           peers_refused((enum ipc_error)error));
}

/* --- queues --- */

static const struct queue {
    const char *name;
    size_t (*length)(void);
    const struct histogram *(*waits)(void); /* NULL: they wait on purpose */
} queues[] = {
    {"messages", sends_waiting, commits_waits},
    {"changes", edits_waiting, edits_waits},
    {"reads", pool_waiting, pool_waits},
    {"auth", hashing_waiting, hashing_waits},
    {"signatures", signing_waiting, signing_waits},
    {"logins", logins_waiting, NULL},
};
enum { QUEUES = sizeof(queues) / sizeof(queues[0]) };

static void put_lengths(struct buf *out)
{
    static const char name[] = "chatd_queue_length";
    exposition_begin(out, name, EXPOSITION_GAUGE, "What waits, by what it waits for.");
    for (size_t i = 0; i < QUEUES; i++)
        exposition_put_for(out, name, "queue", queues[i].name, queues[i].length());
}

static void put_waits(struct buf *out)
{
    static const char name[] = "chatd_queue_wait_seconds";
    exposition_begin(out, name, EXPOSITION_HISTOGRAM,
                     "Time that was spent in a queue by what has left it to be done.");
    for (size_t i = 0; i < QUEUES; i++) {
        char label[40];
        snprintf(label, sizeof(label), "queue=\"%s\"", queues[i].name);
        if (queues[i].waits)
            histogram_put(queues[i].waits(), out, name, label);
    }
}

void metrics_put(struct buf *out)
{
    put_peers(out);
    put_requests(out);
    put_refusals(out);
    put_lengths(out);
    put_waits(out);
    commits_expose(out);
    deliveries_expose(out);
    pool_expose(out);
    link_expose(out);
    exposition_one(out, "chatd_delivery_behind", EXPOSITION_GAUGE,
                   "Whether committed changes are known here that were not handed out yet.",
                   position_lags());
    exposition_one(out, "chatd_retention_removed_messages_total", EXPOSITION_COUNTER,
                   "Messages that this host has removed because they were too old.",
                   retention_removed());
}

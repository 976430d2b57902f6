/* Connections by user and by address; see connections.h. */
#include "connections.h"

#include "broker.h"
#include "tally.h"

static struct tally by_user, by_address;

static int64_t most(int limit)
{
    int clients = conf_clients_most(&broker.conf, limit);
    return clients ? clients : INT64_MAX;
}

bool connections_add(struct peer *p)
{
    if (!tally_add(&by_user, (uint64_t)p->user, most(broker.conf.max_connections_per_user)))
        return false;
    if (p->remote &&
        !tally_add(&by_address, p->remote, most(broker.conf.max_connections_per_address))) {
        tally_drop(&by_user, (uint64_t)p->user);
        return false;
    }
    p->counted = true;
    return true;
}

void connections_drop(struct peer *p)
{
    if (!p->counted)
        return;
    p->counted = false;
    tally_drop(&by_user, (uint64_t)p->user);
    if (p->remote)
        tally_drop(&by_address, p->remote);
}

size_t connections_of(int64_t user)
{
    return (size_t)tally_count(&by_user, (uint64_t)user);
}

void connections_free(void)
{
    tally_free(&by_user);
    tally_free(&by_address);
}

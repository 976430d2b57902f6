/* Clients by address; see addresses.h. */
#include "addresses.h"

#include <stdlib.h>

#include "conf.h"
#include "log.h"
#include "map.h"
#include "netaddr.h"

struct address {
    uint64_t key;
    int clients;
};

static struct map addresses; /* key -> struct address */

struct address *addresses_enter(const struct netaddr *peer)
{
    if (!peer->ip)
        return NULL;
    uint64_t key = netaddr_owner(peer);
    struct address *a = map_get(&addresses, key);
    if (!a) {
        a = xcalloc(1, sizeof(*a));
        a->key = key;
        map_put(&addresses, key, a);
    }
    a->clients++;
    return a;
}

int addresses_clients(const struct address *a)
{
    return a ? a->clients : 0;
}

int addresses_most(const struct conf *conf, const struct netaddr *peer)
{
    if (conf->max_clients_per_address < 0 && netaddr_is_loopback(peer))
        return 0;
    return conf_clients_most(conf, conf->max_clients_per_address);
}

void addresses_leave(struct address *a)
{
    if (!a || --a->clients > 0)
        return;
    if (map_remove(&addresses, a->key) != a)
        bug("an unknown address");
    free(a);
}

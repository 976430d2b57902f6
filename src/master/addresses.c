/* Clients by address; see addresses.h. */
#include "addresses.h"

#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "log.h"
#include "map.h"
#include "random.h"

struct address {
    uint64_t key;
    int clients;
};

static struct map addresses; /* key -> struct address */

/* Different for different addresses, since the factor is odd; and not to be foreseen, since a peer
 * chooses among many addresses and must not find those that meet in one place of the map. */
static uint64_t key_of(uint64_t bits)
{
    static uint64_t factor;
    if (!factor)
        factor = random_u64() | 1;
    bits = (bits ^ bits >> 32) * factor;
    return bits ^ bits >> 32;
}

/* False if the peer has no address. The addresses below ::/32, which IPv4 is put among, are no
 * peer's but ::1. */
static bool bits_of(const struct sockaddr_storage *peer, uint64_t *bits)
{
    uint32_t four;
    *bits = 0;
    if (peer->ss_family == AF_INET) {
        four = ((const struct sockaddr_in *)peer)->sin_addr.s_addr;
        *bits = ntohl(four);
        return true;
    }
    if (peer->ss_family != AF_INET6)
        return false;
    const struct in6_addr *six = &((const struct sockaddr_in6 *)peer)->sin6_addr;
    if (IN6_IS_ADDR_V4MAPPED(six)) {
        memcpy(&four, &six->s6_addr[12], sizeof(four));
        *bits = ntohl(four);
        return true;
    }
    for (int i = 0; i < 8; i++)
        *bits = *bits << 8 | six->s6_addr[i];
    return true;
}

struct address *addresses_enter(const struct sockaddr_storage *peer)
{
    uint64_t bits;
    if (!bits_of(peer, &bits))
        return NULL;
    uint64_t key = key_of(bits);
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

void addresses_leave(struct address *a)
{
    if (!a || --a->clients > 0)
        return;
    if (map_remove(&addresses, a->key) != a)
        bug("an address that is not known");
    free(a);
}

/* Addresses of hosts; see netaddr.h. */
#include "netaddr.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "random.h"

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

static bool is_four(const struct netaddr *a)
{
    return a->ip && memcmp(a->bytes, mapped, sizeof(mapped)) == 0;
}

void netaddr_from_bytes(struct netaddr *a, const uint8_t *bytes, size_t n)
{
    *a = (struct netaddr){.ip = true};
    if (n == 4)
        memcpy(a->bytes, mapped, sizeof(mapped));
    memcpy(a->bytes + sizeof(a->bytes) - n, bytes, n);
}

bool netaddr_parse(struct netaddr *a, const char *text, size_t n)
{
    char copy[NETADDR_TEXT];
    uint8_t bytes[16];
    if (n == 0 || n >= sizeof(copy) || memchr(text, 0, n))
        return false;
    memcpy(copy, text, n);
    copy[n] = 0;
    if (strcmp(copy, "unix") == 0)
        *a = (struct netaddr){.ip = false};
    else if (inet_pton(AF_INET, copy, bytes) == 1)
        netaddr_from_bytes(a, bytes, 4);
    else if (inet_pton(AF_INET6, copy, bytes) == 1)
        netaddr_from_bytes(a, bytes, 16);
    else
        return false;
    return true;
}

void netaddr_from_socket(struct netaddr *a, const struct sockaddr_storage *ss)
{
    *a = (struct netaddr){.ip = false};
    if (ss->ss_family == AF_INET)
        netaddr_from_bytes(a, (const uint8_t *)&((const struct sockaddr_in *)ss)->sin_addr, 4);
    else if (ss->ss_family == AF_INET6)
        netaddr_from_bytes(a, ((const struct sockaddr_in6 *)ss)->sin6_addr.s6_addr, 16);
}

void netaddr_format(const struct netaddr *a, char text[NETADDR_TEXT])
{
    if (!a->ip)
        snprintf(text, NETADDR_TEXT, "unix");
    else if (is_four(a))
        inet_ntop(AF_INET, a->bytes + sizeof(mapped), text, NETADDR_TEXT);
    else
        inet_ntop(AF_INET6, a->bytes, text, NETADDR_TEXT);
}

/* A bijection, since the factor is odd. */
static uint64_t disguise(uint64_t bits)
{
    static uint64_t factor;
    if (!factor)
        factor = random_u64() | 1;
    bits = (bits ^ bits >> 32) * factor;
    return bits ^ bits >> 32;
}

/* Maps IPv4 into ::/32, which no host uses, except for ::1. */
uint64_t netaddr_owner(const struct netaddr *a)
{
    uint64_t bits = 0;
    size_t from = is_four(a) ? sizeof(mapped) : 0, to = is_four(a) ? sizeof(a->bytes) : 8;
    if (!a->ip)
        return 0;
    for (size_t i = from; i < to; i++)
        bits = bits << 8 | a->bytes[i];
    return disguise(bits ? bits : 1);
}

/* --- lists --- */

struct network {
    struct netaddr base;
    unsigned bits; /* of the 128 */
};

static bool parse_bits(const char *text, size_t n, unsigned most, unsigned *bits)
{
    *bits = 0;
    for (size_t i = 0; i < n; i++) {
        if (text[i] < '0' || text[i] > '9')
            return false;
        *bits = *bits * 10 + (unsigned)(text[i] - '0');
    }
    return n >= 1 && n <= 3 && *bits <= most;
}

static bool matches(const struct network *net, const struct netaddr *a)
{
    if (net->base.ip != a->ip)
        return false;
    unsigned whole = net->bits / 8, rest = net->bits % 8;
    if (memcmp(net->base.bytes, a->bytes, whole) != 0)
        return false;
    unsigned mask = 0xff00u >> rest & 0xff;
    return rest == 0 || ((net->base.bytes[whole] ^ a->bytes[whole]) & mask) == 0;
}

/* False also for a network with address bits beyond its prefix: likely a typing error. */
static bool parse_network(struct network *net, const char *text, size_t n)
{
    const char *slash = memchr(text, '/', n);
    size_t size = slash ? (size_t)(slash - text) : n;
    if (!netaddr_parse(&net->base, text, size))
        return false;
    net->bits = 128;
    if (!slash)
        return true;
    unsigned least = is_four(&net->base) && memchr(text, '.', size) ? 96 : 0, bits;
    if (!net->base.ip || !parse_bits(slash + 1, n - size - 1, 128 - least, &bits))
        return false;
    net->bits = least + bits;
    for (unsigned i = net->bits; i < 128; i++)
        if (net->base.bytes[i / 8] >> (7 - i % 8) & 1)
            return false;
    return true;
}

/* The next entry, without the blanks around it, and where the rest begins; NULL at the end. */
static const char *next_entry(const char **list, size_t *n)
{
    const char *s = *list + strspn(*list, " \t");
    if (!*s)
        return NULL;
    *n = strcspn(s, ",");
    *list = s + *n + (s[*n] == ',');
    while (*n > 0 && (s[*n - 1] == ' ' || s[*n - 1] == '\t'))
        --*n;
    return s;
}

bool netaddr_listed(const struct netaddr *a, const char *list)
{
    const char *entry;
    size_t n;
    struct network net;
    while ((entry = next_entry(&list, &n)))
        if (parse_network(&net, entry, n) && matches(&net, a))
            return true;
    return false;
}

bool netaddr_is_loopback(const struct netaddr *a)
{
    return netaddr_listed(a, "127.0.0.0/8, ::1");
}

const char *netaddr_list_error(const char *list, size_t *n)
{
    const char *entry;
    struct network net;
    while ((entry = next_entry(&list, n)))
        if (!parse_network(&net, entry, *n))
            return entry;
    return NULL;
}

/*
 * Addresses of hosts, as text, as sockets give them, and in lists such as
 * "10.0.0.0/8, 2001:db8::/32, unix".
 *
 * IPv4 is the same whether an IPv4 or an IPv6 socket shows it. The peer of a Unix socket has no
 * address, and is called "unix".
 */
#ifndef NETADDR_H
#define NETADDR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sockaddr_storage;

struct netaddr {
    bool ip;           /* false: "unix" */
    uint8_t bytes[16]; /* of IPv6; IPv4 as ::ffff:a.b.c.d */
};

enum { NETADDR_TEXT = 48 }; /* room for any address as text, with its NUL */

/* Reads n bytes of text, an IPv4 or IPv6 address and nothing else, or "unix". */
bool netaddr_parse(struct netaddr *a, const char *text, size_t n);

/* The address of a socket; what is neither IPv4 nor IPv6 is "unix". */
void netaddr_from_socket(struct netaddr *a, const struct sockaddr_storage *ss);

/* From the bytes of an address in network order: 4 of IPv4, or 16 of IPv6. */
void netaddr_from_bytes(struct netaddr *a, const uint8_t *bytes, size_t n);

/* Writes the address in the form that RFC 5952 asks for. */
void netaddr_format(const struct netaddr *a, char text[NETADDR_TEXT]);

/* A number for one client's addresses: an IPv4 address, or the first 64 bits of an IPv6 address,
 * which a provider gives to one customer. Distinct and unpredictable, so that a peer with many
 * addresses cannot find some that collide in a map; each process has its own numbers. 0 for
 * "unix". */
uint64_t netaddr_owner(const struct netaddr *a);

/* Is it in the comma-separated list, itself, or in one of its networks (address/bits)? */
bool netaddr_listed(const struct netaddr *a, const char *list);

/* Is it one of this machine's own, 127.0.0.0/8 or ::1? */
bool netaddr_is_loopback(const struct netaddr *a);

/* The first invalid entry of the list, and its length; NULL if all are valid. */
const char *netaddr_list_error(const char *list, size_t *n);

#endif

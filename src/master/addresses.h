/*
 * How many clients there are from each address: of IPv4 the address, of IPv6 its first 64 bits,
 * which is what one customer of a provider has. IPv4 as IPv6 sockets show it counts as IPv4.
 *
 * Only addresses that have a client are remembered, so max_clients bounds the memory.
 */
#ifndef ADDRESSES_H
#define ADDRESSES_H

struct address;
struct sockaddr_storage;

/* Counts one client more. The result is for addresses_leave(); NULL for a peer without an address,
 * such as one of a Unix socket, which is not counted. */
struct address *addresses_enter(const struct sockaddr_storage *peer);

/* The clients from there; 0 for NULL. */
int addresses_clients(const struct address *a);

/* Counts one client less and forgets the address with the last one. NULL is nothing to do. */
void addresses_leave(struct address *a);

#endif

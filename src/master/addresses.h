/*
 * Counts clients by address, or rather by owner of addresses (netaddr.h).
 *
 * Only addresses that have a client are remembered, so max_clients bounds the memory.
 */
#ifndef ADDRESSES_H
#define ADDRESSES_H

struct address;
struct netaddr;

/* Counts one more client. Pass the result to addresses_leave(). NULL for a peer without an address,
 * such as one on a Unix socket, which is not counted. */
struct address *addresses_enter(const struct netaddr *peer);

/* The clients from there; 0 for NULL. */
int addresses_clients(const struct address *a);

/* Counts one client less and forgets the address with the last one. Does nothing for NULL. */
void addresses_leave(struct address *a);

#endif

/*
 * Counts clients by address, or rather by owner of addresses (netaddr.h).
 *
 * Only addresses that have a client are remembered, so max_clients bounds the memory.
 */
#ifndef ADDRESSES_H
#define ADDRESSES_H

struct address;
struct conf;
struct netaddr;

/* Counts one more client. Pass the result to addresses_leave(). NULL for a peer without an address,
 * such as one on a Unix socket, which is not counted. */
struct address *addresses_enter(const struct netaddr *peer);

/* The clients from there; 0 for NULL. */
int addresses_clients(const struct address *a);

/* How many clients there may be from this peer's address; 0: any number. Without a limit of the
 * operator's, strangers get a part of the places, and this machine's own addresses all of them: a
 * reverse proxy here, which speaks for everybody, is no stranger. */
int addresses_most(const struct conf *conf, const struct netaddr *peer);

/* Counts one client less and forgets the address with the last one. Does nothing for NULL. */
void addresses_leave(struct address *a);

#endif

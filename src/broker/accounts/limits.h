/*
 * Rate limits for logins and registrations, to slow down password guessing; for typing, for blocks,
 * and for changes of groups.
 *
 * For each account: how many wrong passwords came from unknown addresses of late, and the known
 * addresses, from which the right one came, each with its own failures. A login's delay follows
 * from the failures of its own address if that is known, and from those of all unknown ones
 * otherwise. So nobody can slow down, let alone lock out, the owner at a usual address; from
 * elsewhere the right password only waits. Names that do not exist are treated alike.
 *
 * For each address: so many failed logins and registrations an hour. Addresses are those of
 * netaddr_owner(); 0, the peer of a Unix socket, is never limited by address.
 *
 * For each user: so many typing frames a second, and so many blocks set or lifted and changes of
 * groups a minute, over all connections. Each of the latter holds up all who store messages for as
 * long as a commit takes, and a change of a group goes to all its members.
 *
 * Memory is bounded. When it is full, the record that would expire first is evicted, so a flood of
 * made-up names evicts its own records and not those of an account under attack; accounts with
 * known addresses go last. Times are clock_ms().
 */
#ifndef LIMITS_H
#define LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conf;

/* conf has the limits and must outlive this module; most: records of each kind. */
enum { LIMITS_MOST = 16384 };
void limits_init(const struct conf *conf, size_t most);
void limits_free(void);

/* A number for the account of this name; letter case does not matter. */
uint64_t limits_account(const char *name, size_t n);

/* Has this account logged in from this address before? */
bool limits_known(uint64_t account, uint64_t address);

/* Milliseconds that a login beginning now must wait before its password is checked. */
int64_t limits_delay(uint64_t account, uint64_t address, int64_t now);

/* Takes one failed login from the address's allowance; false if none is left. Take it before
 * checking the password, lest concurrent logins exceed the limit; return it if the password was
 * right. */
bool limits_take_failure(uint64_t address, int64_t now);
void limits_return_failure(uint64_t address);

/* The password was wrong, or right. */
void limits_failed(uint64_t account, uint64_t address, int64_t now);
void limits_succeeded(uint64_t account, uint64_t address, int64_t now);

/* May this address register one more account now? */
bool limits_register(uint64_t address, int64_t now);

/* May this user's typing be passed on now? */
bool limits_typing(int64_t user, int64_t now);

/* May this user set or lift a block now? */
bool limits_block(int64_t user, int64_t now);

/* May this user make or change a group now, or its members? cost: of so many changes, at least 1.
 */
bool limits_group(int64_t user, int64_t now, size_t cost);

#endif

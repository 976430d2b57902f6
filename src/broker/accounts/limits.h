/*
 * What the broker remembers of logins and registrations, to slow down those who guess.
 *
 * Of each account: how often strangers gave a wrong password of late, and the addresses from which
 * the right one came, each with its own failures. A login waits for what the failures that count
 * for it have earned: those of its own address if the account is known there, those of all
 * strangers otherwise. So nobody can slow down, let alone lock out, an owner at the usual address;
 * and from anywhere else the right password only waits. A name that nobody has is treated alike.
 *
 * Of each address: its failed logins and its registrations, so much in an hour. Addresses are those
 * of netaddr_owner(); 0, the peer of a Unix socket, is never limited by address.
 *
 * Memory is bounded. When it is full, what would soonest be forgotten anyway goes first, so a flood
 * of made-up names drives out its own records and not those of an account that is being guessed;
 * accounts with known addresses go last. Times are clock_ms().
 */
#ifndef LIMITS_H
#define LIMITS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct conf;

/* The configuration, which stays, says how much is allowed; most: records of each kind. */
enum { LIMITS_MOST = 16384 };
void limits_init(const struct conf *conf, size_t most);
void limits_free(void);

/* A number for the account of this name, in whatever case. */
uint64_t limits_account(const char *name, size_t n);

/* Has this account logged in from this address before? */
bool limits_known(uint64_t account, uint64_t address);

/* How long a login that begins now has to wait before its password is looked at, in milliseconds.
 */
int64_t limits_delay(uint64_t account, uint64_t address, int64_t now);

/* Takes a failed login from what the address may have; false if there is none left. Taken before
 * the password is looked at, lest many at a time get more; given back if it was right. */
bool limits_take_failure(uint64_t address, int64_t now);
void limits_return_failure(uint64_t address);

/* The password was wrong, or right. */
void limits_failed(uint64_t account, uint64_t address, int64_t now);
void limits_succeeded(uint64_t account, uint64_t address, int64_t now);

/* May somebody at this address register one more account now? */
bool limits_register(uint64_t address, int64_t now);

#endif

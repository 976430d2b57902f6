/*
 * Password hashes: bcrypt, by libxcrypt's crypt(3). Only this file uses libxcrypt.
 *
 * New hashes have the form $2b$. $2a$ and $2y$, which other systems write for the same function,
 * are accepted too.
 */
#ifndef BCRYPT_H
#define BCRYPT_H

#include <stdbool.h>
#include <stddef.h>

#include "ipc.h"

enum { BCRYPT_HASH_SIZE = 61, BCRYPT_MAX_PASSWORD = 72 };

/* Prepares for a cost (logarithm to base 2 of the rounds) of new hashes, and the highest one of
 * stored hashes that is computed. */
void bcrypt_init(int cost, int most);

/* Hashes with a fresh salt into out. False if the password cannot be hashed as it stands (it is
 * longer than bcrypt reads, or has a NUL byte) or there is no randomness. */
bool bcrypt_hash(const char *password, size_t n, char out[BCRYPT_HASH_SIZE]);

/* Is hash that of password? It takes the same number of rounds whatever the hash is: cheaper,
 * missing, or too costly to compute. That is the number for the cost of new hashes, or for work if
 * that is higher, but never more than for the highest cost. */
enum ipc_check bcrypt_verify(const char *password, size_t n, const char *hash, size_t hash_n,
                             int work);

#endif

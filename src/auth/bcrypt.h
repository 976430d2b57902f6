/*
 * Password hashes: bcrypt, by libxcrypt's crypt(3). All of libxcrypt is behind here.
 *
 * New ones have the form $2b$. Those in the forms $2a$ and $2y$, which other systems write for the
 * same function, are computed as well.
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

/* Is hash that of password? It takes as many rounds whatever the hash is, one that is cheaper, none
 * at all, or too dear to be computed: those of the cost of new ones, or of the cost work if that is
 * higher, but never more than those of the highest. */
enum ipc_check bcrypt_verify(const char *password, size_t n, const char *hash, size_t hash_n,
                             int work);

#endif

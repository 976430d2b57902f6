/* Password hashes: bcrypt in the form $2b$, by libxcrypt's crypt(3). All of libxcrypt is behind
 * here. */
#ifndef BCRYPT_H
#define BCRYPT_H

#include <stdbool.h>
#include <stddef.h>

enum { BCRYPT_HASH_SIZE = 61, BCRYPT_MAX_PASSWORD = 72 };

/* Prepares for a cost (logarithm to base 2 of the rounds). */
void bcrypt_init(int cost);

/* Hashes with a fresh salt into out. False if the password cannot be hashed as it stands (it is
 * longer than bcrypt reads, or has a NUL byte) or there is no randomness. */
bool bcrypt_hash(const char *password, size_t n, char out[BCRYPT_HASH_SIZE]);

/* Is hash that of password? A hash that is not $2b$ is checked against one that fits nothing, so
 * that it takes the same time whether an account exists or not. */
bool bcrypt_verify(const char *password, size_t n, const char *hash, size_t hash_n);

#endif

/* The signer's keys: the one in use, and the previous one. */
#ifndef KEYS_H
#define KEYS_H

#include "buf.h"
#include "tls_scheme.h"

/* Reads the private keys, in PEM, from the memory behind fd. Dies if there is none. */
void keys_read(int fd);

/* Appends the signature of n bytes with the key of this fingerprint. False if there is no such key,
 * if it does not suit the scheme, or if libcrypto fails. */
bool keys_sign(const unsigned char *fingerprint, const struct tls_scheme *scheme,
               const unsigned char *p, size_t n, struct buf *signature);

#endif

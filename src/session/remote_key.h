/*
 * A private key that is elsewhere, for libssl: a provider of OpenSSL whose keys know their public
 * half only and ask somebody for each signature. Made of a certificate's key.
 */
#ifndef REMOTE_KEY_H
#define REMOTE_KEY_H

#include <openssl/types.h>
#include <stdbool.h>

#include "buf.h"
#include "tls_scheme.h"

/* Makes the signature that libssl wants: of n bytes, by the private half of this key. */
typedef bool remote_key_sign(const EVP_PKEY *public_key, const struct tls_scheme *scheme,
                             const unsigned char *content, size_t n, struct buf *signature);

/* Registers the provider, once in the life of a process; false if libcrypto does not want it. */
bool remote_key_init(remote_key_sign *sign);

/* The key, owned by the caller; NULL if it is neither RSA nor of an elliptic curve. */
EVP_PKEY *remote_key_new(const EVP_PKEY *public_key);

#endif

/*
 * Lets libssl use a private key that is elsewhere: an OpenSSL provider whose keys have only the
 * public half, and call a function for each signature.
 */
#ifndef REMOTE_KEY_H
#define REMOTE_KEY_H

#include <openssl/types.h>
#include <stdbool.h>

#include "buf.h"
#include "tls_scheme.h"

/* Signs n bytes with the private half of the certificate's key. */
typedef bool remote_key_sign(const struct tls_scheme *scheme, const unsigned char *content,
                             size_t n, struct buf *signature);

/* Registers the provider, once in the life of a process; false if libcrypto refuses it. */
bool remote_key_init(void);

/* Who signs from now on; NULL: nobody, each handshake fails at its signature. */
void remote_key_signer(remote_key_sign *sign);

/* Makes such a key, owned by the caller; NULL if it is neither RSA nor of an elliptic curve. */
EVP_PKEY *remote_key_new(const EVP_PKEY *public_key);

#endif

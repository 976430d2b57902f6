/* TLS keys: how to read them, and the fingerprint that names them between processes. */
#ifndef TLS_KEY_H
#define TLS_KEY_H

#include <openssl/types.h>
#include <stdbool.h>

enum { TLS_FINGERPRINT = 32 };

/* The SHA-256 of the public half, as SubjectPublicKeyInfo (RFC 5280): the same for a certificate's
 * key and for the private key that belongs to it. False if the key has no such form. */
bool tls_fingerprint(const EVP_PKEY *key, unsigned char out[TLS_FINGERPRINT]);

/* The next private key of a PEM text, owned by the caller; NULL if there is none, or if it cannot
 * be read. An encrypted key cannot: there is nobody to ask for the passphrase. */
EVP_PKEY *tls_read_key(BIO *in);

#endif

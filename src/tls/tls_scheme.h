/*
 * The signature schemes that handshakes use here (RFC 8446 section 4.2.3), a row each.
 *
 * The rows decide what a session offers to its client and what the signer signs.
 */
#ifndef TLS_SCHEME_H
#define TLS_SCHEME_H

#include <openssl/types.h>
#include <stdbool.h>
#include <stdint.h>

struct tls_scheme {
    uint16_t number;
    const char *key;    /* kind of key: "RSA", "EC" */
    const char *digest; /* in libcrypto's words */
    bool pss;           /* RSA: with RSASSA-PSS, not PKCS#1 */
    const char *name;   /* in the words of SSL_CTX_set1_sigalgs_list(3) */
};

/* The row with this number, or for this key, digest and padding; NULL if there is none. */
const struct tls_scheme *tls_scheme(uint32_t number);
const struct tls_scheme *tls_scheme_of(const char *key, const EVP_MD *digest, bool pss);

/* The names of all, separated by colons. */
const char *tls_scheme_list(void);

#endif

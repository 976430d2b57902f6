/*
 * What all TLS connections share, the certificate and the settings. The master makes it before it
 * forks sessions.
 * There are no tickets and no stored sessions, no renegotiation, no compression.
 */
#ifndef TLS_CONTEXT_H
#define TLS_CONTEXT_H

#include <stdint.h>

#include "conf.h"

struct tls_context;

/* Reads tls_certificate_file. Owned by the caller; NULL with an error text. */
struct tls_context *tls_context_new(const struct conf *conf, struct conf_error *e);
void tls_context_free(struct tls_context *t);

/* The fingerprint of the certificate's key (tls_key.h). */
const unsigned char *tls_context_fingerprint(const struct tls_context *t);

/* Uses this context, which is taken over, for new connections, and frees the one before. */
void tls_context_use(struct tls_context *t);

/* When the certificate in use expires, as Unix time; 0: there is none. */
int64_t tls_context_expiry(void);

/* Makes libssl and libcrypto load what a handshake needs, so that forked sessions share its
 * memory. */
void tls_warm_up(void);

#endif

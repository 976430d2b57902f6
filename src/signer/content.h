/*
 * What the signer signs: what a server signs in a handshake of TLS, and nothing else.
 *
 * A session that a client has taken over can ask for signatures, too. What it gets is of no use
 * but in a handshake: no certificate, no message of another protocol has this form.
 */
#ifndef CONTENT_H
#define CONTENT_H

#include <stddef.h>

#include "tls_scheme.h"

/* Is this the content of a CertificateVerify of TLS 1.3 (RFC 8446 section 4.4.3), or of a
 * ServerKeyExchange of TLS 1.2 with an elliptic curve (RFC 8422 section 5.4), which may be signed
 * with this scheme? */
bool content_is_handshake(const struct tls_scheme *scheme, const unsigned char *p, size_t n);

#endif

/*
 * What the signer signs: what a TLS server signs in a handshake, and nothing else.
 *
 * A session compromised by its client can ask for signatures, too, but they are useful only in a
 * handshake: no certificate and no message of another protocol has this form.
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

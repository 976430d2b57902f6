/* What may be signed; see content.h. */
#include "content.h"

#include <string.h>

enum {
    BLANKS = 64,    /* TLS 1.3: at the start */
    RANDOMS = 64,   /* TLS 1.2: at the start, of client and server */
    NAMED_CURVE = 3 /* TLS 1.2: the only kind of parameters */
};

/* 64 blanks, what it is for, a NUL, and the hash of the messages before: SHA-256 or SHA-384. */
static bool is_certificate_verify(const unsigned char *p, size_t n)
{
    static const char context[] = "TLS 1.3, server CertificateVerify"; /* with its NUL */
    if (n != BLANKS + sizeof(context) + 32 && n != BLANKS + sizeof(context) + 48)
        return false;
    for (int i = 0; i < BLANKS; i++)
        if (p[i] != ' ')
            return false;
    return memcmp(p + BLANKS, context, sizeof(context)) == 0;
}

/* The randoms, then curve type, curve (two bytes), and a point that ends the content. */
static bool is_server_key_exchange(const unsigned char *p, size_t n)
{
    const size_t head = RANDOMS + 4;
    return n > head && p[RANDOMS] == NAMED_CURVE && p[head - 1] == n - head;
}

bool content_is_handshake(const struct tls_scheme *scheme, const unsigned char *p, size_t n)
{
    bool pkcs1 = strcmp(scheme->key, "RSA") == 0 && !scheme->pss;
    return (is_certificate_verify(p, n) && !pkcs1) || is_server_key_exchange(p, n);
}

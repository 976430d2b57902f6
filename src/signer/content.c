/* What may be signed; see content.h. */
#include "content.h"

#include <openssl/core_names.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <string.h>

enum {
    BLANKS = 64,    /* TLS 1.3: at the start */
    RANDOMS = 64,   /* TLS 1.2: at the start, of client and server */
    NAMED_CURVE = 3 /* TLS 1.2: the only curve type */
};

/* 64 blanks, a context string, a NUL, and the hash of the earlier messages: SHA-256 or SHA-384. */
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

/* RFC 8422 section 5.1.1, RFC 7748. */
static const struct curve {
    unsigned number;
    size_t size;      /* of a point */
    const char *name; /* libcrypto's name; NULL: any bytes of this size are a point */
} curves[] = {
    {23, 65, "P-256"}, {24, 97, "P-384"}, {25, 133, "P-521"}, {29, 32, NULL}, {30, 56, NULL},
};

/* libcrypto rejects a point that is not on the curve. */
static bool is_on(const char *curve, const unsigned char *p, size_t n)
{
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, (char *)curve, 0),
        OSSL_PARAM_construct_octet_string(OSSL_PKEY_PARAM_PUB_KEY, (void *)p, n),
        OSSL_PARAM_construct_end(),
    };
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, "EC", NULL);
    EVP_PKEY *key = NULL;
    bool done = c && EVP_PKEY_fromdata_init(c) > 0 &&
                EVP_PKEY_fromdata(c, &key, EVP_PKEY_PUBLIC_KEY, (OSSL_PARAM *)params) > 0;
    EVP_PKEY_free(key);
    EVP_PKEY_CTX_free(c);
    ERR_clear_error();
    return done;
}

/* The randoms, then curve type, curve (two bytes), and a point that ends the content. An attacker
 * may choose the randoms too. A certificate's numbers and names have room for the few bytes before
 * the point, but still none passes: it would have to be a point to its end, or be shorter than any
 * certificate is. */
static bool is_server_key_exchange(const unsigned char *p, size_t n)
{
    const size_t head = RANDOMS + 4;
    if (n <= head || p[RANDOMS] != NAMED_CURVE || p[head - 1] != n - head)
        return false;
    const unsigned number = (unsigned)p[RANDOMS + 1] << 8 | p[RANDOMS + 2];
    for (size_t i = 0; i < sizeof(curves) / sizeof(curves[0]); i++)
        if (curves[i].number == number)
            return curves[i].size == n - head &&
                   (!curves[i].name || is_on(curves[i].name, p + head, n - head));
    return false;
}

bool content_is_handshake(const struct tls_scheme *scheme, const unsigned char *p, size_t n)
{
    bool pkcs1 = strcmp(scheme->key, "RSA") == 0 && !scheme->pss;
    return (is_certificate_verify(p, n) && !pkcs1) || is_server_key_exchange(p, n);
}

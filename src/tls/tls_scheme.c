/* Signature schemes; see tls_scheme.h. */
#include "tls_scheme.h"

#include <openssl/evp.h>
#include <string.h>

/* number, key, digest, PSS, name */
#define SCHEMES(S)                                                                                 \
    S(0x0403, "EC", "SHA256", false, "ECDSA+SHA256")                                               \
    S(0x0503, "EC", "SHA384", false, "ECDSA+SHA384")                                               \
    S(0x0804, "RSA", "SHA256", true, "RSA-PSS+SHA256")                                             \
    S(0x0805, "RSA", "SHA384", true, "RSA-PSS+SHA384")                                             \
    S(0x0806, "RSA", "SHA512", true, "RSA-PSS+SHA512")                                             \
    S(0x0401, "RSA", "SHA256", false, "RSA+SHA256")                                                \
    S(0x0501, "RSA", "SHA384", false, "RSA+SHA384")                                                \
    S(0x0601, "RSA", "SHA512", false, "RSA+SHA512")

#define ROW(number, key, digest, pss, name) {(number), (key), (digest), (pss), (name)},
static const struct tls_scheme schemes[] = {SCHEMES(ROW)};
enum { COUNT = sizeof(schemes) / sizeof(schemes[0]) };

const struct tls_scheme *tls_scheme(uint32_t number)
{
    for (int i = 0; i < COUNT; i++)
        if (schemes[i].number == number)
            return &schemes[i];
    return NULL;
}

const struct tls_scheme *tls_scheme_of(const char *key, const EVP_MD *digest, bool pss)
{
    for (int i = 0; i < COUNT; i++)
        if (strcmp(schemes[i].key, key) == 0 && schemes[i].pss == pss &&
            EVP_MD_is_a(digest, schemes[i].digest))
            return &schemes[i];
    return NULL;
}

const char *tls_scheme_list(void)
{
#define NAME(number, key, digest, pss, name) ":" name
    return (SCHEMES(NAME)) + 1;
}

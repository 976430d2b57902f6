/* Checking public keys at the start; see public_keys.h. */
#include "public_keys.h"

#include <openssl/evp.h>
#include <openssl/objects.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "log.h"

enum { RSA_MIN_BITS = 2048 }; /* RFC 7518, section 3.3 */

/* For EVP_PKEY_free(); NULL if it is no key. */
static EVP_PKEY *read_key(const char *base64, size_t n)
{
    unsigned char *der = xcalloc(1, n + 1);
    const unsigned char *at = der;
    int size =
        n > 0 && n % 4 == 0 ? EVP_DecodeBlock(der, (const unsigned char *)base64, (int)n) : -1;
    EVP_PKEY *key = size > 0 ? d2i_PUBKEY(NULL, &at, size) : NULL;
    free(der);
    return key;
}

static bool on_p256(const EVP_PKEY *key)
{
    char group[64];
    return EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) &&
           strcmp(group, SN_X9_62_prime256v1) == 0;
}

/* NULL, or what is wrong. */
static const char *judge_public_key(const EVP_PKEY *key)
{
    int kind = key ? EVP_PKEY_get_base_id(key) : EVP_PKEY_NONE;
    if (!key)
        return "is no public key; write what openssl pkey -pubout prints";
    if (kind == EVP_PKEY_RSA)
        return EVP_PKEY_get_bits(key) < RSA_MIN_BITS
                   ? "has fewer than 2048 bits and can be broken; make a larger one"
                   : NULL;
    if (kind != EVP_PKEY_EC || !on_p256(key))
        return "is neither RSA (for RS256) nor on the curve P-256 (for ES256); others are not "
               "accepted";
    return NULL;
}

int public_keys_check(const struct conf *c, struct conf_error *e)
{
    const char *list = c->jwt_public_key, *place = c->where[CONF_K_jwt_public_key];
    for (int number = 1; *list; number++) {
        size_t n = strcspn(list, ",");
        EVP_PKEY *key = read_key(list, n);
        const char *wrong = judge_public_key(key);
        EVP_PKEY_free(key);
        if (wrong) {
            snprintf(e->text, sizeof(e->text), "%.200s: jwt_public_key: number %d %s",
                     place ? place : "configuration", number, wrong);
            return -1;
        }
        list += n + (list[n] == ',');
    }
    return 0;
}

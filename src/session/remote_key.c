/*
 * A provider for keys that are elsewhere; see remote_key.h, provider-keymgmt(7) and
 * provider-signature(7), which describe the functions of the two tables.
 *
 * There is no function to export a key. With one, libcrypto could move the key to its own
 * implementation of signatures, which would lack the private half.
 */
#include "remote_key.h"

#include <openssl/core_dispatch.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/params.h>
#include <openssl/provider.h>
#include <openssl/rsa.h>
#include <string.h>

#include "log.h"

#define RSA_NAMES "RSA:rsaEncryption:1.2.840.113549.1.1.1"
#define EC_NAMES  "EC:id-ecPublicKey:1.2.840.10045.2.1"
#define OURS      "provider=chatd"
#define THEIRS    "provider=default"

static remote_key_sign *sign_elsewhere; /* NULL: nobody signs */

/* The tables hold functions of any type, cast to one. */
#define ENTRY(id, function)                                                                        \
    {                                                                                              \
        (id), (void (*)(void))(function)                                                           \
    }
#define END                                                                                        \
    {                                                                                              \
        0, NULL                                                                                    \
    }

/* --- keys --- */

struct key {
    const char *kind;     /* as in struct tls_scheme */
    EVP_PKEY *public_key; /* libcrypto's own */
};

static void *key_new(const char *kind)
{
    struct key *k = xcalloc(1, sizeof(*k));
    k->kind = kind;
    return k;
}

static void *key_new_rsa(void *provider)
{
    (void)provider;
    return key_new("RSA");
}

static void *key_new_ec(void *provider)
{
    (void)provider;
    return key_new("EC");
}

static void key_free(void *key)
{
    struct key *k = key;
    EVP_PKEY_free(k->public_key);
    free(k);
}

/* Claims the private half, too: the key can sign. */
static int key_has(const void *key, int selection)
{
    (void)selection;
    return ((const struct key *)key)->public_key != NULL;
}

static int key_import(void *key, int selection, const OSSL_PARAM params[])
{
    (void)selection;
    struct key *k = key;
    EVP_PKEY_CTX *c = EVP_PKEY_CTX_new_from_name(NULL, k->kind, THEIRS);
    bool done = c && EVP_PKEY_fromdata_init(c) > 0 &&
                EVP_PKEY_fromdata(c, &k->public_key, EVP_PKEY_PUBLIC_KEY, (OSSL_PARAM *)params) > 0;
    EVP_PKEY_CTX_free(c);
    return done;
}

static const OSSL_PARAM *key_import_types(int selection)
{
    static const OSSL_PARAM types[] = {
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_N, NULL, 0),
        OSSL_PARAM_BN(OSSL_PKEY_PARAM_RSA_E, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
        OSSL_PARAM_octet_string(OSSL_PKEY_PARAM_PUB_KEY, NULL, 0),
        OSSL_PARAM_END,
    };
    return (selection & OSSL_KEYMGMT_SELECT_PUBLIC_KEY) ? types : NULL;
}

static int key_get_params(void *key, OSSL_PARAM params[])
{
    return EVP_PKEY_get_params(((struct key *)key)->public_key, params);
}

static const OSSL_PARAM *key_gettable_params(void *provider)
{
    (void)provider;
    static const OSSL_PARAM types[] = {
        OSSL_PARAM_int(OSSL_PKEY_PARAM_BITS, NULL),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_SECURITY_BITS, NULL),
        OSSL_PARAM_int(OSSL_PKEY_PARAM_MAX_SIZE, NULL),
        OSSL_PARAM_utf8_string(OSSL_PKEY_PARAM_GROUP_NAME, NULL, 0),
        OSSL_PARAM_END,
    };
    return types;
}

static int key_match(const void *a, const void *b, int selection)
{
    (void)selection;
    return EVP_PKEY_eq(((const struct key *)a)->public_key, ((const struct key *)b)->public_key) ==
           1;
}

static const char *key_operation_ec(int operation)
{
    return operation == OSSL_OP_SIGNATURE ? "ECDSA" : NULL;
}

#define KEY_FUNCTIONS                                                                              \
    ENTRY(OSSL_FUNC_KEYMGMT_FREE, key_free), ENTRY(OSSL_FUNC_KEYMGMT_HAS, key_has),                \
        ENTRY(OSSL_FUNC_KEYMGMT_IMPORT, key_import),                                               \
        ENTRY(OSSL_FUNC_KEYMGMT_IMPORT_TYPES, key_import_types),                                   \
        ENTRY(OSSL_FUNC_KEYMGMT_GET_PARAMS, key_get_params),                                       \
        ENTRY(OSSL_FUNC_KEYMGMT_GETTABLE_PARAMS, key_gettable_params),                             \
        ENTRY(OSSL_FUNC_KEYMGMT_MATCH, key_match)

static const OSSL_DISPATCH rsa_keys[] = {
    ENTRY(OSSL_FUNC_KEYMGMT_NEW, key_new_rsa),
    KEY_FUNCTIONS,
    END,
};
static const OSSL_DISPATCH ec_keys[] = {
    ENTRY(OSSL_FUNC_KEYMGMT_NEW, key_new_ec),
    KEY_FUNCTIONS,
    ENTRY(OSSL_FUNC_KEYMGMT_QUERY_OPERATION_NAME, key_operation_ec),
    END,
};

/* --- signatures --- */

struct signature {
    const struct key *key;
    EVP_MD *digest; /* owned */
    bool pss;
};

static void *signature_new(void *provider, const char *properties)
{
    (void)provider;
    (void)properties;
    return xcalloc(1, sizeof(struct signature));
}

static void signature_free(void *signature)
{
    struct signature *s = signature;
    EVP_MD_free(s->digest);
    free(s);
}

static int signature_set(void *signature, const OSSL_PARAM params[])
{
    struct signature *s = signature;
    const OSSL_PARAM *p =
        params ? OSSL_PARAM_locate_const(params, OSSL_SIGNATURE_PARAM_PAD_MODE) : NULL;
    int mode = 0;
    if (p && p->data_type == OSSL_PARAM_UTF8_STRING)
        s->pss = strcmp(p->data, OSSL_PKEY_RSA_PAD_MODE_PSS) == 0;
    else if (p && OSSL_PARAM_get_int(p, &mode))
        s->pss = mode == RSA_PKCS1_PSS_PADDING;
    return 1;
}

static const OSSL_PARAM *signature_settable(void *signature, void *provider)
{
    (void)signature;
    (void)provider;
    static const OSSL_PARAM types[] = {
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PAD_MODE, NULL, 0),
        OSSL_PARAM_utf8_string(OSSL_SIGNATURE_PARAM_PSS_SALTLEN, NULL, 0), /* the digest's size */
        OSSL_PARAM_END,
    };
    return types;
}

static int signature_begin(void *signature, const char *digest, void *key,
                           const OSSL_PARAM params[])
{
    struct signature *s = signature;
    s->key = key;
    EVP_MD_free(s->digest);
    s->digest = EVP_MD_fetch(NULL, digest, THEIRS);
    return s->digest && signature_set(s, params);
}

/* out NULL: returns only the largest size. */
static int signature_make(void *signature, unsigned char *out, size_t *size, size_t room,
                          const unsigned char *content, size_t n)
{
    struct signature *s = signature;
    struct buf made = BUF_INIT;
    if (!out) {
        *size = (size_t)EVP_PKEY_get_size(s->key->public_key);
        return 1;
    }
    const struct tls_scheme *scheme = tls_scheme_of(s->key->kind, s->digest, s->pss);
    bool done = scheme && sign_elsewhere && sign_elsewhere(scheme, content, n, &made) &&
                buf_len(&made) <= room;
    if (done) {
        *size = buf_len(&made);
        memcpy(out, buf_head(&made), *size);
    }
    buf_free(&made);
    return done;
}

static const OSSL_DISPATCH signatures[] = {
    ENTRY(OSSL_FUNC_SIGNATURE_NEWCTX, signature_new),
    ENTRY(OSSL_FUNC_SIGNATURE_FREECTX, signature_free),
    ENTRY(OSSL_FUNC_SIGNATURE_DIGEST_SIGN_INIT, signature_begin),
    ENTRY(OSSL_FUNC_SIGNATURE_DIGEST_SIGN, signature_make),
    ENTRY(OSSL_FUNC_SIGNATURE_SET_CTX_PARAMS, signature_set),
    ENTRY(OSSL_FUNC_SIGNATURE_SETTABLE_CTX_PARAMS, signature_settable),
    END,
};

/* --- the provider --- */

static const OSSL_ALGORITHM *provider_query(void *provider, int operation, int *no_cache)
{
    static const OSSL_ALGORITHM keys[] = {
        {RSA_NAMES, OURS, rsa_keys, NULL},
        {EC_NAMES, OURS, ec_keys, NULL},
        {NULL, NULL, NULL, NULL},
    };
    static const OSSL_ALGORITHM makers[] = {
        {RSA_NAMES, OURS, signatures, NULL},
        {"ECDSA", OURS, signatures, NULL},
        {NULL, NULL, NULL, NULL},
    };
    (void)provider;
    *no_cache = 0;
    return operation == OSSL_OP_KEYMGMT ? keys : operation == OSSL_OP_SIGNATURE ? makers : NULL;
}

static int provider_init(const OSSL_CORE_HANDLE *handle, const OSSL_DISPATCH *core,
                         const OSSL_DISPATCH **out, void **provider)
{
    static const OSSL_DISPATCH functions[] = {
        ENTRY(OSSL_FUNC_PROVIDER_QUERY_OPERATION, provider_query),
        END,
    };
    (void)core;
    *out = functions;
    *provider = (void *)handle;
    return 1;
}

void remote_key_signer(remote_key_sign *sign)
{
    sign_elsewhere = sign;
}

bool remote_key_init(void)
{
    /* libcrypto's own implementations stay the first choice for all but our keys. */
    return OSSL_PROVIDER_load(NULL, "default") &&
           OSSL_PROVIDER_add_builtin(NULL, "chatd", provider_init) &&
           OSSL_PROVIDER_load(NULL, "chatd") && EVP_set_default_properties(NULL, "?" THEIRS);
}

EVP_PKEY *remote_key_new(const EVP_PKEY *public_key)
{
    const char *kind = EVP_PKEY_is_a(public_key, "RSA")  ? "RSA"
                       : EVP_PKEY_is_a(public_key, "EC") ? "EC"
                                                         : NULL;
    OSSL_PARAM *params = NULL;
    EVP_PKEY *key = NULL;
    EVP_PKEY_CTX *c = kind ? EVP_PKEY_CTX_new_from_name(NULL, kind, OURS) : NULL;
    if (c && EVP_PKEY_todata(public_key, EVP_PKEY_PUBLIC_KEY, &params) > 0 &&
        EVP_PKEY_fromdata_init(c) > 0)
        EVP_PKEY_fromdata(c, &key, EVP_PKEY_PUBLIC_KEY, params);
    OSSL_PARAM_free(params);
    EVP_PKEY_CTX_free(c);
    return key;
}

/* The signature schemes, fingerprints, and what the signer signs. */
#include "test.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <string.h>

#include "content.h"
#include "tls_key.h"
#include "tls_scheme.h"

enum { PKCS1 = 0x0401, PSS = 0x0804, ECDSA = 0x0403 };

static unsigned char content[512];

/* A CertificateVerify with a hash of this size; returns its size. */
static size_t verify(size_t hash)
{
    static const char context[] = "TLS 1.3, server CertificateVerify";
    memset(content, ' ', 64);
    memcpy(content + 64, context, sizeof(context));
    memset(content + 64 + sizeof(context), 0xab, hash);
    return 64 + sizeof(context) + hash;
}

/* A ServerKeyExchange with bytes of this size as a point of this curve. */
static size_t exchange(unsigned curve, size_t point)
{
    memset(content, 0x5a, sizeof(content));
    content[64] = 3;
    content[65] = 0;
    content[66] = (unsigned char)curve;
    content[67] = (unsigned char)point;
    return 68 + point;
}

/* The same with a point that is one. */
static size_t exchange_on(unsigned curve, const char *name)
{
    unsigned char *point = NULL;
    EVP_PKEY *key = EVP_EC_gen(name);
    size_t n = EVP_PKEY_get1_encoded_public_key(key, &point), all = exchange(curve, n);
    memcpy(content + 68, point, n);
    OPENSSL_free(point);
    EVP_PKEY_free(key);
    return all;
}

/* A certificate of its key's own, for another name. Its number, the place for which is this, has
 * room for what makes a content look like a ServerKeyExchange. Returns the size of what is signed.
 */
static size_t certificate(EVP_PKEY *key, const char *head, size_t size)
{
    unsigned char bytes[60], *out = content;
    X509 *x = X509_new();
    X509_NAME *name = X509_get_subject_name(x);
    memset(bytes, 0x11, sizeof(bytes));
    memcpy(bytes + 64 - 10, head, size);
    BIGNUM *number = BN_bin2bn(bytes, sizeof(bytes), NULL);
    BN_to_ASN1_INTEGER(number, X509_get_serialNumber(x));
    BN_free(number);
    X509_set_version(x, X509_VERSION_3);
    X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC, (const unsigned char *)"x", -1, -1, 0);
    X509_set_issuer_name(x, name);
    X509_gmtime_adj(X509_getm_notBefore(x), 0);
    X509_gmtime_adj(X509_getm_notAfter(x), 1000);
    X509_set_pubkey(x, key);
    CHECK(X509_sign(x, key, EVP_sha256()) > 0 && X509_verify(x, key) == 1);
    int n = i2d_re_X509_tbs(x, &out);
    X509_free(x);
    return (size_t)n;
}

static bool good(uint32_t scheme, size_t n)
{
    return content_is_handshake(tls_scheme(scheme), content, n);
}

static void a_certificate_verify_is_signed_but_not_with_pkcs1(void)
{
    CHECK(good(PSS, verify(32)) && good(PSS, verify(48)) && good(ECDSA, verify(32)));
    CHECK(!good(PKCS1, verify(32)));
    CHECK(!good(PSS, verify(31)) && !good(PSS, verify(33)) && !good(PSS, verify(0)));
    for (size_t at = 0; at < 98; at++) {
        size_t n = verify(32);
        content[at] ^= 1;
        CHECK(!good(PSS, n));
    }
    /* What a client signs is another text. */
    size_t n = verify(32);
    memcpy(content + 64, "TLS 1.3, client", 15);
    CHECK(!good(PSS, n));
}

static void a_server_key_exchange_is_signed_whatever_the_scheme(void)
{
    CHECK(good(PKCS1, exchange(29, 32)) && good(ECDSA, exchange(30, 56)));
    CHECK(good(PSS, exchange_on(23, "P-256")) && good(ECDSA, exchange_on(24, "P-384")));
    CHECK(good(PKCS1, exchange_on(25, "P-521")));
    size_t n = exchange(29, 32);
    CHECK(!good(PKCS1, n - 1) && !good(PKCS1, n + 1));
    content[64] = 1; /* explicit_prime */
    CHECK(!good(PKCS1, n));
    exchange(29, 32);
    for (size_t i = 0; i <= 68; i++)
        CHECK(!good(PKCS1, i));
    CHECK(!good(PKCS1, exchange(29, 0)));
}

static void the_point_of_a_server_key_exchange_is_one_of_its_curve(void)
{
    CHECK(!good(ECDSA, exchange(29, 56)) && !good(ECDSA, exchange(22, 65)));
    CHECK(!good(ECDSA, exchange(23, 65)) && !good(ECDSA, exchange(24, 97)));
    CHECK(!good(ECDSA, exchange(25, 133)));
    size_t n = exchange_on(23, "P-256");
    content[65] = 1;
    CHECK(!good(ECDSA, n));
    content[65] = 0;
    CHECK(good(ECDSA, n));
    content[100] ^= 1;
    CHECK(!good(ECDSA, n));
    n = exchange_on(23, "P-256");
    content[66] = 24;
    CHECK(!good(ECDSA, n));
}

static void a_certificate_is_not_signed_whatever_its_number(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    size_t n = certificate(key, "", 0);
    char head[] = {3, 0, 0x1d, (char)(n - 68), 4};
    CHECK(n > 68 && n < 68 + 256);
    CHECK(certificate(key, head, sizeof(head)) == n);
    CHECK(content[64] == 3 && content[67] == n - 68);
    CHECK(!good(ECDSA, n));
    EVP_PKEY_free(key);
}

static void other_contents_are_not_signed(void)
{
    memset(content, 0, sizeof(content));
    for (size_t n = 0; n < sizeof(content); n++)
        CHECK(!good(PKCS1, n) && !good(PSS, n) && !good(ECDSA, n));
}

static void a_scheme_is_found_by_number_and_by_what_it_is(void)
{
    CHECK(tls_scheme(0) == NULL && tls_scheme(0x0201) == NULL && tls_scheme(0x10401) == NULL);
    CHECK(tls_scheme_of("RSA", EVP_sha256(), true) == tls_scheme(PSS));
    CHECK(tls_scheme_of("RSA", EVP_sha256(), false) == tls_scheme(PKCS1));
    CHECK(tls_scheme_of("EC", EVP_sha256(), false) == tls_scheme(ECDSA));
    CHECK(tls_scheme_of("EC", EVP_sha256(), true) == NULL);
    CHECK(tls_scheme_of("RSA", EVP_sha1(), false) == NULL);
    CHECK(strstr(tls_scheme_list(), "ECDSA+SHA256:") == tls_scheme_list());
}

static void both_halves_of_a_key_have_one_fingerprint(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256"), *other = EVP_EC_gen("P-256");
    BIO *text = BIO_new(BIO_s_mem()), *public_text = BIO_new(BIO_s_mem());
    CHECK(PEM_write_bio_PrivateKey(text, key, NULL, NULL, 0, NULL, NULL) == 1);
    CHECK(PEM_write_bio_PUBKEY(public_text, key) == 1);
    BIO_puts(text, "some text between\n");
    CHECK(PEM_write_bio_PrivateKey(text, other, NULL, NULL, 0, NULL, NULL) == 1);
    EVP_PKEY *first = tls_read_key(text), *second = tls_read_key(text), *third = tls_read_key(text);
    EVP_PKEY *half = PEM_read_bio_PUBKEY(public_text, NULL, NULL, NULL);
    unsigned char a[TLS_FINGERPRINT], b[TLS_FINGERPRINT], c[TLS_FINGERPRINT];
    CHECK(first && second && !third && half);
    CHECK(tls_fingerprint(first, a) && tls_fingerprint(half, b) && tls_fingerprint(second, c));
    CHECK(memcmp(a, b, sizeof(a)) == 0 && memcmp(a, c, sizeof(a)) != 0);
    EVP_PKEY *keys[] = {key, other, first, second, half};
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        EVP_PKEY_free(keys[i]);
    BIO_free(text);
    BIO_free(public_text);
}

static void a_key_with_a_passphrase_is_not_read(void)
{
    EVP_PKEY *key = EVP_EC_gen("P-256");
    BIO *text = BIO_new(BIO_s_mem());
    unsigned char phrase[] = "made for this test";
    CHECK(PEM_write_bio_PrivateKey(text, key, EVP_aes_128_cbc(), phrase, sizeof(phrase) - 1, NULL,
                                   NULL) == 1);
    CHECK(tls_read_key(text) == NULL);
    EVP_PKEY_free(key);
    BIO_free(text);
}

int main(void)
{
    RUN(a_certificate_verify_is_signed_but_not_with_pkcs1);
    RUN(a_server_key_exchange_is_signed_whatever_the_scheme);
    RUN(the_point_of_a_server_key_exchange_is_one_of_its_curve);
    RUN(a_certificate_is_not_signed_whatever_its_number);
    RUN(other_contents_are_not_signed);
    RUN(a_scheme_is_found_by_number_and_by_what_it_is);
    RUN(both_halves_of_a_key_have_one_fingerprint);
    RUN(a_key_with_a_passphrase_is_not_read);
    return DONE();
}

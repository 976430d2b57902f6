/* Keys of TLS; see tls_key.h. */
#include "tls_key.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

bool tls_fingerprint(const EVP_PKEY *key, unsigned char out[TLS_FINGERPRINT])
{
    unsigned char *der = NULL;
    int n = i2d_PUBKEY(key, &der);
    bool done = n > 0 && EVP_Digest(der, (size_t)n, out, NULL, EVP_sha256(), NULL) == 1;
    OPENSSL_free(der);
    return done;
}

/* Without it libcrypto would ask at the terminal. The type is pem_password_cb's. */
/* NOLINTNEXTLINE(readability-non-const-parameter) */
static int no_passphrase(char *out, int size, int writing, void *arg)
{
    (void)out;
    (void)size;
    (void)writing;
    (void)arg;
    return -1;
}

EVP_PKEY *tls_read_key(BIO *in)
{
    EVP_PKEY *key = PEM_read_bio_PrivateKey(in, NULL, no_passphrase, NULL);
    ERR_clear_error();
    return key;
}

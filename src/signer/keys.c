/* The signer's keys; see keys.h. */
#include "keys.h"

#include <errno.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "log.h"
#include "tls_key.h"

enum { KEYS_MAX = 2 };

static struct {
    EVP_PKEY *key;
    unsigned char fingerprint[TLS_FINGERPRINT];
} keys[KEYS_MAX];
static int count;

void keys_read(int fd)
{
    struct stat st;
    /* Map, do not read: the offset is shared with earlier users of this descriptor. */
    void *text = fstat(fd, &st) == 0 && st.st_size > 0
                     ? mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_PRIVATE, fd, 0)
                     : MAP_FAILED;
    if (text == MAP_FAILED)
        die("the keys that were handed over: %s", strerror(errno));
    BIO *in = BIO_new_mem_buf(text, (int)st.st_size);
    while (in && count < KEYS_MAX && (keys[count].key = tls_read_key(in)))
        if (tls_fingerprint(keys[count].key, keys[count].fingerprint))
            count++;
    BIO_free(in);
    munmap(text, (size_t)st.st_size);
    if (count == 0)
        die("the keys that were handed over cannot be read");
}

static EVP_PKEY *find_key(const unsigned char *fingerprint)
{
    for (int i = 0; i < count; i++)
        if (memcmp(keys[i].fingerprint, fingerprint, TLS_FINGERPRINT) == 0)
            return keys[i].key;
    return NULL;
}

static bool set_padding(EVP_PKEY_CTX *c, const struct tls_scheme *scheme)
{
    if (strcmp(scheme->key, "RSA") != 0)
        return true;
    if (!scheme->pss)
        return EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_PADDING) > 0;
    return EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_PSS_PADDING) > 0 &&
           EVP_PKEY_CTX_set_rsa_pss_saltlen(c, RSA_PSS_SALTLEN_DIGEST) > 0;
}

bool keys_sign(const unsigned char *fingerprint, const struct tls_scheme *scheme,
               const unsigned char *p, size_t n, struct buf *signature)
{
    EVP_PKEY *key = find_key(fingerprint);
    if (!key || !EVP_PKEY_is_a(key, scheme->key))
        return false;
    EVP_MD_CTX *c = EVP_MD_CTX_new();
    EVP_PKEY_CTX *options; /* owned by c */
    size_t size = (size_t)EVP_PKEY_get_size(key);
    bool done = c &&
                EVP_DigestSignInit_ex(c, &options, scheme->digest, NULL, NULL, key, NULL) == 1 &&
                set_padding(options, scheme) &&
                EVP_DigestSign(c, buf_reserve(signature, size), &size, p, n) == 1;
    if (done)
        buf_commit(signature, size);
    EVP_MD_CTX_free(c);
    ERR_clear_error();
    return done;
}

/* The settings of TLS; see tls_context.h. */
#include "tls_context.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "log.h"
#include "remote_key.h"
#include "tls.h"
#include "tls_key.h"
#include "tls_scheme.h"

struct tls_context {
    SSL_CTX *ssl;
    unsigned char fingerprint[TLS_FINGERPRINT];
    int64_t expiry; /* Unix time */
};

static struct tls_context *current;

static bool register_keys(void)
{
    static bool done;
    done = done || remote_key_init();
    return done;
}

/* TLS 1.2 only with ECDHE and AEAD. */
static bool is_good(const SSL_CIPHER *c)
{
    return strcmp(SSL_CIPHER_get_version(c), "TLSv1.3") == 0 ||
           (SSL_CIPHER_get_kx_nid(c) == NID_kx_ecdhe && SSL_CIPHER_is_aead(c));
}

static int set_ciphers(SSL_CTX *ssl, const struct conf *conf, struct conf_error *e)
{
    if (SSL_CTX_set_cipher_list(ssl, conf->tls_ciphers) != 1)
        return conf_fault(conf, CONF_K_tls_ciphers, e, "\"%.100s\" selects no cipher suite: %s",
                          conf->tls_ciphers, tls_reason());
    STACK_OF(SSL_CIPHER) *list = SSL_CTX_get_ciphers(ssl);
    for (int i = 0; i < sk_SSL_CIPHER_num(list); i++)
        if (!is_good(sk_SSL_CIPHER_value(list, i)))
            return conf_fault(conf, CONF_K_tls_ciphers, e,
                              "%s is among them, but only suites with ECDHE and AEAD are used; "
                              "\"openssl ciphers -v LIST\" shows what a list selects",
                              SSL_CIPHER_get_name(sk_SSL_CIPHER_value(list, i)));
    return 0;
}

static int certificate_fault(const struct conf *conf, const char *why, struct conf_error *e)
{
    return conf_fault(
        conf, CONF_K_tls_certificate_file, e,
        "%.200s: %s; it must hold certificates in PEM, the server's own first, with a "
        "key of RSA with 2048 bits or more, or P-256, or P-384",
        conf->tls_certificate_file, why);
}

/* libssl would accept a curve without a scheme (tls_scheme.h), and then fail in each handshake. */
static bool has_scheme(const EVP_PKEY *key)
{
    char group[32];
    return !EVP_PKEY_is_a(key, "EC") ||
           (EVP_PKEY_get_group_name(key, group, sizeof(group), NULL) == 1 &&
            (strcmp(group, SN_X9_62_prime256v1) == 0 || strcmp(group, SN_secp384r1) == 0));
}

/* A time that cannot be read is one long past. */
static int64_t expiry_of(const X509 *certificate)
{
    struct tm tm;
    return ASN1_TIME_to_tm(X509_get0_notAfter(certificate), &tm) == 1 ? timegm(&tm) : 1;
}

/* The key is no secret: it has only the public half. */
static int set_certificate(struct tls_context *t, const struct conf *conf, struct conf_error *e)
{
    if (SSL_CTX_use_certificate_chain_file(t->ssl, conf->tls_certificate_file) != 1)
        return certificate_fault(conf, tls_reason(), e);
    const EVP_PKEY *public_key = X509_get0_pubkey(SSL_CTX_get0_certificate(t->ssl));
    EVP_PKEY *key = public_key && has_scheme(public_key) ? remote_key_new(public_key) : NULL;
    bool done = key && SSL_CTX_use_PrivateKey(t->ssl, key) == 1 &&
                tls_fingerprint(public_key, t->fingerprint);
    EVP_PKEY_free(key);
    if (done) {
        t->expiry = expiry_of(SSL_CTX_get0_certificate(t->ssl));
        return 0;
    }
    return certificate_fault(conf, ERR_peek_error() ? tls_reason() : "a key of another kind", e);
}

/* No group of RFC 7919: a client could make the server compute for long without computing anything
 * itself. An older libssl does not know X25519MLKEM768. */
static bool set_groups(SSL_CTX *ssl)
{
#define CURVES "X25519:P-256:X448:P-521:P-384"
    bool done = SSL_CTX_set1_groups_list(ssl, "X25519MLKEM768:" CURVES) == 1 ||
                SSL_CTX_set1_groups_list(ssl, CURVES) == 1;
    ERR_clear_error();
    return done;
}

/* Refuses a client that offers protocols, but not HTTP/1.1, with an alert (RFC 7301). */
static int select_protocol(SSL *ssl, const unsigned char **out, unsigned char *n,
                           const unsigned char *offered, unsigned size, void *arg)
{
    static const unsigned char ours[] = "\x08http/1.1";
    (void)ssl;
    (void)arg;
    int found =
        SSL_select_next_proto((unsigned char **)out, n, ours, sizeof(ours) - 1, offered, size);
    return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_ALERT_FATAL;
}

static bool set_options(SSL_CTX *ssl)
{
    SSL_CTX_set_options(ssl, SSL_OP_NO_TICKET | SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION |
                                 SSL_OP_IGNORE_UNEXPECTED_EOF);
    SSL_CTX_set_mode(ssl, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE |
                              SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    /* Return after a record without application data, too, so that deadlines are checked. */
    SSL_CTX_clear_mode(ssl, SSL_MODE_AUTO_RETRY);
    SSL_CTX_set_session_cache_mode(ssl, SSL_SESS_CACHE_OFF);
    SSL_CTX_set_alpn_select_cb(ssl, select_protocol, NULL);
    return SSL_CTX_set_min_proto_version(ssl, TLS1_2_VERSION) == 1 && set_groups(ssl) &&
           SSL_CTX_set_num_tickets(ssl, 0) == 1 &&
           SSL_CTX_set1_sigalgs_list(ssl, tls_scheme_list()) == 1;
}

struct tls_context *tls_context_new(const struct conf *conf, struct conf_error *e)
{
    struct tls_context *t = xcalloc(1, sizeof(*t));
    ERR_clear_error();
    t->ssl = register_keys() ? SSL_CTX_new(TLS_server_method()) : NULL;
    if (!t->ssl || !set_options(t->ssl))
        conf_fault(conf, CONF_K_tls_certificate_file, e, "libssl cannot be used: %s", tls_reason());
    else if (set_ciphers(t->ssl, conf, e) == 0 && set_certificate(t, conf, e) == 0)
        return t;
    tls_context_free(t);
    return NULL;
}

void tls_context_free(struct tls_context *t)
{
    if (!t)
        return;
    SSL_CTX_free(t->ssl);
    free(t);
}

const unsigned char *tls_context_fingerprint(const struct tls_context *t)
{
    return t->fingerprint;
}

void tls_context_use(struct tls_context *t)
{
    tls_context_free(current);
    current = t;
    tls_use(t->ssl, t->fingerprint);
}

int64_t tls_context_expiry(void)
{
    return current ? current->expiry : 0;
}

/* A handshake with ourselves, up to the signature: there is no signer yet. */
static void try_handshake(SSL_CTX *client, int version)
{
    SSL *server_end = SSL_new(current->ssl), *client_end = SSL_new(client);
    BIO *one = NULL, *other = NULL;
    if (server_end && client_end && BIO_new_bio_pair(&one, 0, &other, 0) == 1) {
        SSL_set_bio(server_end, one, one);
        SSL_set_bio(client_end, other, other);
        SSL_set_max_proto_version(client_end, version);
        SSL_connect(client_end);
        SSL_accept(server_end);
    }
    SSL_free(server_end);
    SSL_free(client_end);
    ERR_clear_error();
}

void tls_warm_up(void)
{
    SSL_CTX *client = current ? SSL_CTX_new(TLS_client_method()) : NULL;
    if (client) {
        try_handshake(client, TLS1_3_VERSION);
        try_handshake(client, TLS1_2_VERSION);
    }
    SSL_CTX_free(client);
}

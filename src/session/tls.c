/* TLS; see tls.h. */
#include "tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "remote_key.h"
#include "tls_key.h"

enum {
    RECORD = 16 * 1024,     /* of plain bytes, at most (RFC 8446 section 5.1) */
    KEY_UPDATES_MAX = 1000, /* in a connection: one is due after 2^24 records */
};

struct tls_context {
    SSL_CTX *ssl;
    unsigned char fingerprint[TLS_FINGERPRINT];
};

struct tls {
    SSL *ssl;
    short read_events, write_events;
    unsigned key_updates;
    enum ending ending;
};

static struct tls_context *current;
static tls_sign *signer; /* of the handshake in progress */
static void *signer_arg;

/* --- the context --- */

/* The first error of libssl, without its numbers. Clears the queue of errors. */
static const char *reason(void)
{
    unsigned long first = ERR_get_error();
    ERR_clear_error();
    if (!first)
        return "no reason given";
    if (ERR_SYSTEM_ERROR(first))
        return strerror(ERR_GET_REASON(first));
    const char *text = ERR_reason_error_string(first);
    return text ? text : "unknown reason";
}

static bool sign(const EVP_PKEY *public_key, const struct tls_scheme *scheme,
                 const unsigned char *content, size_t n, struct buf *signature)
{
    unsigned char key[TLS_FINGERPRINT];
    return signer && tls_fingerprint(public_key, key) &&
           signer(signer_arg, key, scheme->number, content, n, signature);
}

static bool register_keys(void)
{
    static bool done;
    done = done || remote_key_init(sign);
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
                          conf->tls_ciphers, reason());
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

/* The key is no secret: it has only the public half. */
static int set_certificate(struct tls_context *t, const struct conf *conf, struct conf_error *e)
{
    if (SSL_CTX_use_certificate_chain_file(t->ssl, conf->tls_certificate_file) != 1)
        return certificate_fault(conf, reason(), e);
    const EVP_PKEY *public_key = X509_get0_pubkey(SSL_CTX_get0_certificate(t->ssl));
    EVP_PKEY *key = public_key && has_scheme(public_key) ? remote_key_new(public_key) : NULL;
    bool done = key && SSL_CTX_use_PrivateKey(t->ssl, key) == 1 &&
                tls_fingerprint(public_key, t->fingerprint);
    EVP_PKEY_free(key);
    if (done)
        return 0;
    return certificate_fault(conf, ERR_peek_error() ? reason() : "a key of another kind", e);
}

static void count_key_updates(int sent, int version, int type, const void *p, size_t n, SSL *ssl,
                              void *arg)
{
    (void)version;
    (void)arg;
    struct tls *t = SSL_get_app_data(ssl);
    if (!sent && type == SSL3_RT_HANDSHAKE && n > 0 &&
        *(const unsigned char *)p == SSL3_MT_KEY_UPDATE)
        t->key_updates++;
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
    SSL_CTX_set_msg_callback(ssl, count_key_updates);
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
        conf_fault(conf, CONF_K_tls_certificate_file, e, "libssl cannot be used: %s", reason());
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
}

/* A handshake with ourselves, up to the signature: there is no signer yet. */
static void try_handshake(SSL_CTX *client, int version)
{
    SSL *server_end = SSL_new(current->ssl), *client_end = SSL_new(client);
    BIO *one = NULL, *other = NULL;
    if (server_end && client_end && BIO_new_bio_pair(&one, 0, &other, 0) == 1) {
        SSL_set_bio(server_end, one, one);
        SSL_set_bio(client_end, other, other);
        SSL_set_app_data(server_end, &(struct tls){.read_events = POLLIN});
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

/* --- a connection --- */

struct tls *tls_new(int fd, tls_sign *sign_it, void *arg)
{
    if (!current) {
        log_error("TLS is not set up");
        return NULL;
    }
    struct tls *t = xcalloc(1, sizeof(*t));
    *t = (struct tls){.read_events = POLLIN, .write_events = POLLOUT};
    t->ssl = SSL_new(current->ssl);
    if (!t->ssl || SSL_set_fd(t->ssl, fd) != 1)
        die("libssl: %s", reason());
    SSL_set_app_data(t->ssl, t);
    signer = sign_it;
    signer_arg = arg;
    return t;
}

void tls_free(struct tls *t)
{
    if (!t)
        return;
    SSL_free(t->ssl);
    free(t);
}

/* Turns the failure of a call into what read(2) would return. *events: what to wait for before the
 * next call. */
static long outcome(struct tls *t, int result, short *events)
{
    int saved = errno;
    switch (SSL_get_error(t->ssl, result)) {
    case SSL_ERROR_WANT_READ:
        *events = POLLIN;
        errno = EAGAIN;
        break;
    case SSL_ERROR_WANT_WRITE:
        *events = POLLOUT;
        errno = EAGAIN;
        break;
    case SSL_ERROR_ZERO_RETURN:
        return 0;
    case SSL_ERROR_SYSCALL:
        errno = saved ? saved : ECONNRESET;
        break;
    default:
        log_debug("TLS: %s", reason());
        t->ending = ENDING_TLS_FAILED;
        errno = EPROTO;
    }
    ERR_clear_error();
    if (errno == EAGAIN && t->key_updates > KEY_UPDATES_MAX) {
        log_debug("TLS: too many key updates");
        t->ending = ENDING_TLS_FAILED;
        errno = EPROTO;
    }
    return -1;
}

/* libssl recognises GET, HEAD, POST, PUT and CONNECT. */
static bool is_plain_http(void)
{
    unsigned long first = ERR_peek_error();
    int why = ERR_GET_REASON(first);
    return ERR_GET_LIB(first) == ERR_LIB_SSL &&
           (why == SSL_R_HTTP_REQUEST || why == SSL_R_HTTPS_PROXY_REQUEST);
}

int tls_accept(struct tls *t, bool *plain_http)
{
    ERR_clear_error();
    errno = 0;
    int result = SSL_accept(t->ssl);
    if (result == 1) {
        signer = NULL;
        t->read_events = POLLIN;
        return 1;
    }
    *plain_http = is_plain_http();
    long n = outcome(t, result, &t->read_events);
    if (n < 0 && errno == EAGAIN)
        return 0;
    if (n == 0 || errno != EPROTO) {
        log_debug("TLS: the client left during the handshake");
        t->ending = ENDING_TLS_LEFT;
    }
    return -1;
}

enum ending tls_ending(const struct tls *t)
{
    return t->ending;
}

const char *tls_describe(struct tls *t, char *text, size_t size)
{
    snprintf(text, size, "%s, %s", SSL_get_version(t->ssl), SSL_get_cipher_name(t->ssl));
    return text;
}

long tls_read(struct tls *t, struct buf *b)
{
    static unsigned char scratch[RECORD]; /* as in buf_read() */
    ERR_clear_error();
    errno = 0;
    int n = SSL_read(t->ssl, scratch, sizeof(scratch));
    if (n <= 0)
        return outcome(t, n, &t->read_events);
    t->read_events = POLLIN;
    buf_append(b, scratch, (size_t)n);
    explicit_bzero(scratch, (size_t)n);
    return n;
}

long tls_write(struct tls *t, struct buf *b)
{
    size_t most = buf_len(b) < RECORD ? buf_len(b) : RECORD;
    ERR_clear_error();
    errno = 0;
    int n = SSL_write(t->ssl, buf_head(b), (int)most);
    if (n <= 0)
        return outcome(t, n, &t->write_events);
    t->write_events = POLLOUT;
    buf_consume(b, (size_t)n);
    return n;
}

short tls_read_events(const struct tls *t)
{
    return t->read_events;
}

short tls_write_events(const struct tls *t)
{
    return t->write_events;
}

void tls_close(struct tls *t)
{
    ERR_clear_error();
    SSL_shutdown(t->ssl);
    ERR_clear_error();
}

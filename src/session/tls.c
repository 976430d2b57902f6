/* TLS; see tls.h. */
#include "tls.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/ssl.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "heap.h"
#include "log.h"
#include "remote_key.h"

enum {
    RECORD = 16 * 1024,     /* of plain bytes, at most (RFC 8446 section 5.1) */
    KEY_UPDATES_MAX = 1000, /* in a connection: one is due after 2^24 records */
};

struct tls {
    SSL *ssl;
    short read_events, write_events;
    unsigned key_updates;
    enum ending ending;
};

static SSL_CTX *context;
static const unsigned char *fingerprint; /* of the context's key */
static tls_sign *signer;                 /* of the handshake in progress */
static void *signer_arg;

void tls_use(SSL_CTX *c, const unsigned char *of_its_key)
{
    context = c;
    fingerprint = of_its_key;
}

const char *tls_reason(void)
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

static bool sign(const struct tls_scheme *scheme, const unsigned char *content, size_t n,
                 struct buf *signature)
{
    return signer(signer_arg, fingerprint, scheme->number, content, n, signature);
}

static void count_key_updates(int sent, int version, int type, const void *p, size_t n, SSL *ssl,
                              void *arg)
{
    (void)version;
    (void)ssl;
    struct tls *t = arg;
    if (!sent && type == SSL3_RT_HANDSHAKE && n > 0 &&
        *(const unsigned char *)p == SSL3_MT_KEY_UPDATE)
        t->key_updates++;
}

struct tls *tls_new(int fd, tls_sign *sign_it, void *arg)
{
    if (!context) {
        log_error("TLS is not set up");
        return NULL;
    }
    struct tls *t = xcalloc(1, sizeof(*t));
    *t = (struct tls){.read_events = POLLIN, .write_events = POLLOUT};
    t->ssl = SSL_new(context);
    if (!t->ssl || SSL_set_fd(t->ssl, fd) != 1)
        die("libssl: %s", tls_reason());
    SSL_set_msg_callback(t->ssl, count_key_updates);
    SSL_set_msg_callback_arg(t->ssl, t);
    signer = sign_it;
    signer_arg = arg;
    remote_key_signer(sign);
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
        log_debug("TLS: %s", tls_reason());
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
        remote_key_signer(NULL);
        t->read_events = POLLIN;
        heap_trim(); /* what only the handshake needed */
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

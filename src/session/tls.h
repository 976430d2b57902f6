/*
 * TLS 1.2 and 1.3 for the client's connection, by libssl.
 *
 * The private key is not here: each handshake asks for one signature (remote_key.h).
 */
#ifndef TLS_H
#define TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "endings.h"

struct buf;
struct ssl_ctx_st; /* SSL_CTX */
struct tls;

/* The settings of new connections, and the fingerprint of their key (tls_key.h); both stay the
 * caller's (tls_context.h). NULL: none. */
void tls_use(struct ssl_ctx_st *c, const unsigned char *fingerprint);

/* The first error of libssl, without its numbers. Clears the queue of errors. */
const char *tls_reason(void);

/* Appends the signature of a handshake, made with the key of this fingerprint (tls_key.h). False
 * if there is none. */
typedef bool tls_sign(void *arg, const void *key, uint32_t scheme, const void *content, size_t n,
                      struct buf *signature);

/* A connection on a socket, which stays the caller's. NULL with a line in the log if there is no
 * context. */
struct tls *tls_new(int fd, tls_sign *sign, void *arg);
void tls_free(struct tls *t);

/* The handshake: 1: done, 0: wait for tls_read_events(), -1: failed; tls_ending() says how.
 * plain_http: set if it failed because the client sent a request without TLS; nothing was answered.
 */
int tls_accept(struct tls *t, bool *plain_http);

/* What the master is to hear of this connection. The reason that libssl gives is only in a log of
 * level debug. */
enum ending tls_ending(const struct tls *t);

/* Protocol and cipher suite, for the log. */
const char *tls_describe(struct tls *t, char *text, size_t size);

/* As buf_read() and buf_write(), once. After -1 with EAGAIN either may have to wait until the
 * socket is readable, or until it is writable: tls_read_events() and tls_write_events() say which.
 * Each read takes a whole record, so that no data stays in libssl, where poll(2) cannot see it. */
long tls_read(struct tls *t, struct buf *b);
long tls_write(struct tls *t, struct buf *b);

/* The events of poll(2) to wait for, to read and to write. */
short tls_read_events(const struct tls *t);
short tls_write_events(const struct tls *t);

/* Sends close_notify, if that can be written at once. */
void tls_close(struct tls *t);

#endif

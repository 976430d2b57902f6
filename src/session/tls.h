/*
 * TLS 1.2 and 1.3 for the client's connection, by libssl.
 *
 * What all sessions share, the certificate and the settings, is made before they are forked.
 * There are no tickets and no stored sessions, no renegotiation, no compression.
 * The private key is not here: each handshake asks for one signature (remote_key.h).
 */
#ifndef TLS_H
#define TLS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "conf.h"
#include "endings.h"

struct buf;
struct tls_context;
struct tls;

/* Reads tls_certificate_file. Owned by the caller; NULL with an error text. */
struct tls_context *tls_context_new(const struct conf *conf, struct conf_error *e);
void tls_context_free(struct tls_context *t);

/* The fingerprint of the certificate's key (tls_key.h). */
const unsigned char *tls_context_fingerprint(const struct tls_context *t);

/* Uses this context, which is taken over, for new connections, and frees the one before. */
void tls_context_use(struct tls_context *t);

/* Makes libssl and libcrypto load what a handshake needs, so that forked sessions share its
 * memory. */
void tls_warm_up(void);

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

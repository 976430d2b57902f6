/*
 * The client's connection, with TLS or without: what is read from it and what waits to be written,
 * with deadlines.
 */
#ifndef CLIENT_H
#define CLIENT_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "buf.h"
#include "bucket.h"
#include "conf.h"
#include "netaddr.h"
#include "tls.h"

struct client {
    const struct conf *conf;
    int fd;
    struct tls *tls;            /* NULL: plain */
    bool plain_http;            /* it sent a request where TLS is spoken */
    bool local;                 /* over a Unix socket */
    struct netaddr from;        /* who connected; after a PROXY header, on whose behalf */
    char address[NETADDR_TEXT]; /* of the client, as it is now known, as text */
    struct bucket frames;       /* what frame_rate allows it yet */
    struct buf in, out;
    int64_t stuck_since; /* clock_ms() since when it takes nothing of out; 0: it does */
    int left;            /* bytes that it had not taken then */
};

/* Set when SIGTERM has arrived: the server is going down. Delivered only while waiting. */
extern volatile sig_atomic_t client_stop;

/* Installs the handler behind client_stop; SIGTERM is blocked except in client_poll(). */
void client_init_signals(void);

struct pollfd;
/* poll(2) that SIGTERM interrupts (-1 with EINTR). deadline: clock_ms() or CLOCK_NEVER. */
int client_poll(struct pollfd *fds, unsigned count, int64_t deadline);

/* Sets up for a connected socket, non-blocking, which is taken over, and finds out where it
 * comes from. */
void client_init(struct client *c, const struct conf *conf, int fd);

/* Shows the client's address, and no user yet, in the title and in the log. */
void client_name(struct client *c, const struct netaddr *address);

/* Takes from frame_rate's allowance; false if the client sends more than that. */
bool client_may(struct client *c, int64_t amount);

/* Reads exactly n bytes from the socket, before TLS begins, into p, and none of those that follow.
 * False if they did not come before the deadline. */
bool client_read_exactly(struct client *c, void *p, size_t n, int64_t deadline);

/* Speaks TLS from now on: the handshake, within header_timeout. sign(arg, ...) makes the signature.
 * False if the handshake failed, which was logged; the connection is then without TLS. */
bool client_start_tls(struct client *c, tls_sign *sign, void *arg);

/* Ends and frees everything; the socket is closed. */
void client_free(struct client *c);

/* The events of poll(2) to wait for: to read, if input is set, and to write, if something waits. */
short client_events(const struct client *c, bool input);

/* With these events, is there something to read? */
bool client_readable(const struct client *c, short events);

/* Reads once: the number of bytes, 0: the client has closed, -1 with errno. */
long client_receive(struct client *c);

/* Reads more into c->in. 1: there is more, 0: the client has closed, or the connection failed;
 * -1: nothing came before the deadline, or the server is stopping. */
int client_read(struct client *c, int64_t deadline);

/* Writes what can be written of c->out. 1: all, 0: the rest must wait, -1: the client is gone, or
 * has taken nothing for write_timeout. */
int client_write(struct client *c);

/* When client_write() must be asked again even if the client takes nothing. */
int64_t client_write_deadline(const struct client *c);

/* Writes all of c->out, waiting if need be; false if the client is gone or does not read. */
bool client_flush(struct client *c);

/* Ends the connection so that what was written last still arrives: closes our direction and waits
 * for the client to close its own, up to a second. */
void client_linger(struct client *c);

#endif

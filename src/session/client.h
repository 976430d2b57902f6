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
#include "endings.h"
#include "netaddr.h"
#include "tls.h"

struct client {
    const struct conf *conf;
    int fd;
    struct tls *tls;            /* NULL: plain */
    bool plain_http;            /* it sent a plain request to a TLS port */
    enum ending ending;         /* what the master is told of it at the end */
    bool local;                 /* over a Unix socket */
    bool gone;                  /* it left while it was waited for an answer */
    struct netaddr from;        /* the peer; after a PROXY header, the client that it names */
    char address[NETADDR_TEXT]; /* the client's, as text; X-Forwarded-For may change it */
    struct bucket frames;       /* what frame_rate still allows */
    int unauthorized;           /* answers of status 401 since the last that was a success */
    struct buf in, out;
    int64_t stuck_since; /* clock_ms(): it takes nothing of out since then; 0: it does */
    int64_t late_since;  /* clock_ms(): something of out waits since then; 0: nothing does */
    int64_t given;       /* bytes: to the kernel since late_since, and what was there before */
    int left;            /* of those in the kernel at the last look, not yet taken by it */
};

/* Set by client_poll() once SIGTERM has arrived: the server is going down. */
extern volatile sig_atomic_t client_stop;

/* Installs the handler behind client_stop; SIGTERM is blocked except in client_poll(). */
void client_init_signals(void);

struct pollfd;
/* poll(2) that SIGTERM interrupts (-1 with EINTR). deadline: clock_ms() or CLOCK_NEVER. */
int client_poll(struct pollfd *fds, unsigned count, int64_t deadline);

/* Takes over a connected, non-blocking socket, and finds out the peer's address. */
void client_init(struct client *c, const struct conf *conf, int fd);

/* Sets the client's address, and shows it in the title and the log, with no user yet. What another
 * client of the same proxy did before does not count against it. */
void client_name(struct client *c, const struct netaddr *address);

/* Takes from frame_rate's allowance; false if the client sends more than that. */
bool client_may(struct client *c, int64_t amount);

/* Reads exactly n bytes from the socket into p, before TLS begins. False if they did not arrive
 * before the deadline. */
bool client_read_exactly(struct client *c, void *p, size_t n, int64_t deadline);

/* Shakes hands within header_timeout; from then on the connection uses TLS. sign(arg, ...) makes
 * the signature. False if that failed: c->ending says how; the connection is then without TLS. */
bool client_start_tls(struct client *c, tls_sign *sign, void *arg);

/* Ends and frees everything; the socket is closed. Returns how the session ends. */
enum ending client_free(struct client *c);

/* The events of poll(2) to wait for: to read, if input is set, and to write, if something waits. */
short client_events(const struct client *c, bool input);

/* Do these events mean that there is something to read? */
bool client_readable(const struct client *c, short events);

/* Reads once: the number of bytes, 0: the client has closed, -1 with errno. */
long client_receive(struct client *c);

/* Reads more into c->in. 1: there is more, 0: the client has closed, or the connection failed;
 * -1: nothing came before the deadline, or the server is stopping. */
int client_read(struct client *c, int64_t deadline);

/* Writes what can be written of c->out. 1: all, 0: the rest must wait, -1: the client is gone, or
 * has taken nothing for write_timeout, or after that less than min_rate. */
int client_write(struct client *c);

/* Has it left so much unread that what only matters now had better not be sent? */
bool client_lags(const struct client *c);

/* When client_write() must be asked again even if the client takes nothing. */
int64_t client_write_deadline(const struct client *c);

/* Writes all of c->out, waiting if need be; false if the client is gone or does not read. */
bool client_flush(struct client *c);

/* Ends the connection so that what was written last still arrives: closes our direction and waits
 * for the client to close its own, up to a second. */
void client_linger(struct client *c);

#endif

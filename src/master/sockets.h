/*
 * Listening sockets: bound here, or handed over by systemd or inetd.
 *
 * systemd: LISTEN_PID and LISTEN_FDS, sd_listen_fds(3). inetd: descriptor 0, which is a listening
 * socket for "wait" services and a connection for "nowait"; SO_ACCEPTCONN tells them apart.
 *
 * The name of a handed-over socket in LISTEN_FDNAMES says whether it speaks TLS: "tls" or "plain".
 * With another name or none, tls_handed_over decides.
 */
#ifndef SOCKETS_H
#define SOCKETS_H

#include <stdbool.h>

#include "conf.h"

enum { SOCKETS_MAX = 16, SOCKETS_NAME = 160 };

struct sockets {
    int fds[SOCKETS_MAX];  /* listening, non-blocking, close-on-exec */
    bool tls[SOCKETS_MAX]; /* clients there speak TLS */
    int count;
    int client;               /* the single connection to serve, same flags; -1: none */
    bool client_tls;          /* it speaks TLS */
    bool handed_over;         /* not bound by this chatd or one that it took over from */
    bool inetd;               /* handed over by inetd, which waits for this process to end */
    char *paths[SOCKETS_MAX]; /* owned: Unix sockets to remove at the end */
    char names[512];          /* "127.0.0.1:8080 [::1]:8080" */
};

/* Takes sockets that were handed over, or binds those in the configuration. inetd: descriptor 0
 * counts. bound: the chatd that hands them over had bound them. Dies with a reason if there is
 * nothing to listen on. */
void sockets_open(struct sockets *s, const struct conf *conf, bool inetd, bool bound);

/* The address of a listening socket: "127.0.0.1:8080", "[::1]:8080", "unix:/path". Returns its
 * port, or 0. */
int sockets_name(int fd, char text[SOCKETS_NAME]);

/* Stops listening for good. */
void sockets_close(struct sockets *s);

/* Stops listening while another process goes on with the same sockets. */
void sockets_leave(struct sockets *s);

#endif

/*
 * Where the server listens: sockets that it binds itself, or that systemd or inetd hands over.
 *
 * systemd: LISTEN_PID and LISTEN_FDS, sd_listen_fds(3). inetd: descriptor 0, which is a listening
 * socket for "wait" services and a connection for "nowait"; SO_ACCEPTCONN tells them apart.
 *
 * Whether a socket that is handed over speaks TLS says its name in LISTEN_FDNAMES: "tls", "plain";
 * of those that have another one, or none, tls_handed_over does.
 */
#ifndef SOCKETS_H
#define SOCKETS_H

#include <stdbool.h>

#include "conf.h"

enum { SOCKETS_MAX = 16 };

struct sockets {
    int fds[SOCKETS_MAX];  /* listening, non-blocking, close-on-exec */
    bool tls[SOCKETS_MAX]; /* who connects there speaks TLS */
    int count;
    int client;       /* the one connection to serve, with the same flags; -1: none */
    bool client_tls;  /* which is one of TLS */
    bool handed_over; /* not bound by a chatd, be it this one or the one that it took over from */
    bool inetd;       /* handed over by inetd, which waits for this process to end */
    char *paths[SOCKETS_MAX]; /* owned: Unix sockets to be removed at the end */
    char names[512];          /* "127.0.0.1:8080 [::1]:8080" */
};

/* Takes what was handed over, or binds what the configuration lists. inetd: descriptor 0 counts.
 * bound: what was handed over was bound by the chatd from which this one takes over. Dies with a
 * reason if nothing can be listened on. */
void sockets_open(struct sockets *s, const struct conf *conf, bool inetd, bool bound);

/* Stops listening for good. */
void sockets_close(struct sockets *s);

/* Stops listening where somebody else goes on with the same sockets. */
void sockets_leave(struct sockets *s);

#endif

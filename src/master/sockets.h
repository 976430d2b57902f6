/*
 * Where the server listens: sockets that it binds itself, or that systemd or inetd hands over.
 *
 * systemd: LISTEN_PID and LISTEN_FDS, sd_listen_fds(3). inetd: descriptor 0, which is a listening
 * socket for "wait" services and a connection for "nowait"; SO_ACCEPTCONN tells them apart.
 */
#ifndef SOCKETS_H
#define SOCKETS_H

#include <stdbool.h>

#include "conf.h"

enum { SOCKETS_MAX = 16 };

struct sockets {
    int fds[SOCKETS_MAX]; /* listening, non-blocking, close-on-exec */
    int count;
    int client;               /* the one connection to serve; -1: none */
    bool handed_over;         /* not bound by ourselves */
    char *paths[SOCKETS_MAX]; /* owned: Unix sockets to be removed at the end */
    char names[512];          /* "127.0.0.1:8080 [::1]:8080" */
};

/* Takes what was handed over, or binds what the configuration lists. inetd: descriptor 0 counts.
 * Dies with a reason if nothing can be listened on. */
void sockets_open(struct sockets *s, const struct conf *conf, bool inetd);

/* Stops listening. */
void sockets_close(struct sockets *s);

#endif

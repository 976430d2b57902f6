/*
 * This host's bond with the database: the connection that listens and the one that writes.
 *
 * They live and die together. While both are up this host has a row in the database, which names
 * the backend that listens as its life, and a row for each attached session. When either is lost,
 * both are closed and everything is built up again under a new host number, in this order:
 *
 *   connect both -> host_attach, LISTEN -> a row for each session -> read what was missed -> up
 *
 * so that the doorbell is connected before the reading starts.
 */
#ifndef LINK_H
#define LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "db.h"

struct link_owner {
    /* This host has a number. honoured: the database knows position_known(); now: its last
     * change. The owner makes the sessions' rows, then calls link_set_up(). */
    void (*attached)(bool honoured, struct cursor now);
    void (*up)(void);
    void (*down)(void);                /* also after an attempt that failed */
    void (*bell)(const char *payload); /* a notification for this host */
};

/* Starts to connect, and from then on reconnects with back-off. status_fd: where this is
 * reported to the master (role.h); -1: nowhere. */
void link_init(int status_fd, const struct link_owner *owner);
void link_free(void);

/* The server refuses db_user: tells the master, who may have another password. For db_owner. */
void link_refused(void *arg);

/* True while this host is attached and its sessions have their rows. */
bool link_is_up(void);

/* True when the last attempt to connect failed: a new request need not wait for the next. */
bool link_is_hopeless(void);

/* The number of this host while attached; the tag that cursors of this database carry. */
int64_t link_host(void);
const char *link_tag(void);

/* One of the two connections while this host is attached and the connection is free, or NULL. */
struct db *link_listener(void);
struct db *link_writer(void);

/* Every attached session has its row. */
void link_set_up(void);

/* Whether a statement succeeded that must not fail; otherwise the link starts over. */
bool link_ok(const PGresult *result, const char *what);

#endif

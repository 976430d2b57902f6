/*
 * This host's link with the database: a connection that listens and one that writes.
 *
 * They live and die together. While both are up this host has a row in the database, which names
 * the listening backend as proof of life, and a row for each attached session. When either is lost,
 * both are closed and everything is rebuilt under a new host number, in this order:
 *
 *   connect both -> host_attach, LISTEN -> a row for each session -> read what was missed -> up
 *
 * so that the host listens for doorbells before it starts to read.
 */
#ifndef LINK_H
#define LINK_H

#include <stdbool.h>
#include <stdint.h>

#include "db.h"

struct link_owner {
    /* This host has a number. honoured: the database knows position_known(); now: its last change;
     * presence: its last presence change. The owner makes the sessions' rows, then calls
     * link_set_up(). */
    void (*attached)(bool honoured, struct cursor now, uint64_t presence);
    void (*up)(void);
    void (*down)(void);                /* also after a failed attempt */
    void (*bell)(const char *payload); /* a notification for this host */
};

/* Connects, and reconnects with back-off from then on. status_fd: where to report this to the
 * master (role.h); -1: nowhere. */
void link_init(int status_fd, const struct link_owner *owner);
void link_free(void);

/* The server refuses db_user: tells the master, which may find a new password. For db_owner. */
void link_refused(void *arg);

/* True while this host is attached and its sessions have their rows. */
bool link_is_up(void);

/* True if the last attempt to connect failed: a new request should not wait for the next. */
bool link_is_hopeless(void);

/* Puts its state, and how often it came and went. */
void link_expose(struct buf *out);

/* This host's number while attached; the tag in this database's cursors. */
int64_t link_host(void);
const char *link_tag(void);

/* The connection if this host is attached and it is free, or NULL. */
struct db *link_listener(void);
struct db *link_writer(void);

/* Every attached session has its row. */
void link_set_up(void);

/* True if a statement that must not fail succeeded; otherwise the link starts over. */
bool link_ok(const PGresult *result, const char *what);

#endif

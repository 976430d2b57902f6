/*
 * This host's bond with the database: the connection that listens and the one that writes.
 *
 * They live and die together. While both are up this host has a row in the database, an advisory
 * lock that stands for its life, and a row for each attached session. When either is lost, both
 * are closed and everything is built up again under a new host number, in this order:
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

/* Starts to connect, and from then on reconnects with back-off. status_fd: where "up" and "down"
 * are reported, a line each; -1: nowhere. */
void link_init(int status_fd);
void link_free(void);

/* True while rows can be written. */
bool link_is_up(void);

/* True when the last attempt to connect failed: who asks now need not wait for the next. */
bool link_is_hopeless(void);

/* The number of this host while attached; the tag that cursors of this database carry. */
int64_t link_host(void);
const char *link_tag(void);

/* Gives each connection that is free its next piece of work. For the main loop: what came in one
 * round of events goes in one statement. */
void link_turn(void);

/* Whether a statement succeeded that must not fail; otherwise the link starts over. */
bool link_ok(const PGresult *result, const char *what);

/* True when nothing is left to be written. */
bool link_is_quiet(void);

#endif

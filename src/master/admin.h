/*
 * The socket of admin_listen, on which the exporter answers (exporter/visitors.h). The master binds
 * it, lest an exporter that has died leave the address to somebody else, and hands it to each
 * exporter and to a successor; it accepts nobody there itself.
 */
#ifndef ADMIN_H
#define ADMIN_H

#include "conf.h"

/* Binds it, unless admin_listen is empty, or the previous server has handed over a socket of this
 * address: inherited, taken over, -1: none. Dies if somebody else has the address. */
void admin_open(const struct conf *conf, int inherited);

/* The listening socket; -1: none. */
int admin_fd(void);

/* Stops listening for good; or while a successor goes on with the same socket. */
void admin_close(void);
void admin_leave(void);

#endif

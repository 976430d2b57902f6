/*
 * Who connects to admin_listen: anybody who can reach that address, one request each.
 *
 * They are few at a time, each for a bounded time, with little memory. When their places are taken,
 * the one that has been there longest makes room, unless it waits for numbers: whoever only holds
 * connections open keeps nobody out. All who ask while one inquiry is under way share the next, so
 * that master and broker are asked no more often than they can answer, whatever comes.
 */
#ifndef VISITORS_H
#define VISITORS_H

#include <stdbool.h>

#include "loop.h"

/* listener: ROLE_FD_ADMIN; master: ROLE_FD_MASTER. */
void visitors_init(struct loop *loop, int listener, int master);

/* Stops listening: those who are there are answered, others are for the next exporter. */
void visitors_stop(void);

/* Has the last of them left since then? */
bool visitors_gone(void);

/* Closes all connections. */
void visitors_free(void);

#endif

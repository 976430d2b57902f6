/*
 * Refuses a client over a limit, without reading a byte of it: with a fixed 503, or, on TLS, the
 * alert that ends a handshake.
 */
#ifndef REFUSE_H
#define REFUSE_H

#include <stdbool.h>
#include <stdint.h>

enum refusal {
    REFUSE_CLIENTS, /* max_clients is reached */
    REFUSE_ADDRESS, /* max_clients_per_address is reached */
    REFUSALS,
};

enum { REFUSE_KEPT = 256 }; /* the most descriptors held */

/* Sends the answer and takes over fd. Closes it when the client has closed its side, after a
 * second, or when many others were refused since: closing at once could lose the answer. */
void refuse_client(int fd, bool tls, enum refusal why);

/* How many were refused for this reason. */
uint64_t refuse_count(enum refusal why);

/* Closes what is due. Returns when to call again, as clock_ms(), or CLOCK_NEVER. */
int64_t refuse_close_due(void);

#endif

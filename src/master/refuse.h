/*
 * The answer to a client that is one too many, without reading a byte of the client's: a fixed 503,
 * or, where TLS is spoken, the alert that ends a handshake.
 */
#ifndef REFUSE_H
#define REFUSE_H

#include <stdbool.h>
#include <stdint.h>

enum refusal {
    REFUSE_CLIENTS, /* there are as many as the server may have */
    REFUSE_ADDRESS, /* there are as many from this address */
};

enum { REFUSE_KEPT = 256 }; /* descriptors that this may hold */

/* Sends the answer and takes over fd, which is closed once the client has closed its side, after
 * a second, or when many others were refused since: closing at once could lose the answer. */
void refuse_client(int fd, bool tls, enum refusal why);

/* Closes those whose time is over. Returns when to call again, as clock_ms(), or CLOCK_NEVER. */
int64_t refuse_close_due(void);

#endif

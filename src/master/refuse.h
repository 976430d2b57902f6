/* The answer to a client that is one too many: a fixed 503, without reading a byte of the client's.
 */
#ifndef REFUSE_H
#define REFUSE_H

#include <stdint.h>

/* Sends the answer and takes over fd, which is closed once the client has closed its side, after
 * a second, or when many others were refused since: closing at once could lose the answer. */
void refuse_client(int fd);

/* Closes those whose time is over. Returns when to call again, as clock_ms(), or CLOCK_NEVER. */
int64_t refuse_close_due(void);

#endif

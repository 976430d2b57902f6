/* What the other end of a socket has not read yet (tcp(7), unix(7)). */
#ifndef UNREAD_H
#define UNREAD_H

#include <stdbool.h>
#include <stddef.h>

/* Bytes that the kernel has taken for the other end; for a Unix socket with its own for each
 * message. 0 if it cannot say. */
int unread_bytes(int socket);

/* Is that, with what is queued here, so much that what only matters now had better not be sent? */
bool unread_lags(int socket, size_t queued);

#endif

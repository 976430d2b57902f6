/* Handing a descriptor to another process over a Unix socket (SCM_RIGHTS, unix(7)). */
#ifndef FDPASS_H
#define FDPASS_H

#include <stdbool.h>
#include <stdint.h>

/* Sends a copy of fd, which stays open here, and a byte that says what it is. False if the peer is
 * gone or its queue is full. */
bool fdpass_send(int socket, int fd, uint8_t kind);

/* Waits for a descriptor and its byte; returns it, owned by the caller and close-on-exec; -1 when
 * the peer has closed, or sent something else. */
int fdpass_receive(int socket, uint8_t *kind);

#endif

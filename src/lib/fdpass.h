/* Handing a descriptor to another process over a Unix socket (SCM_RIGHTS, unix(7)). */
#ifndef FDPASS_H
#define FDPASS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Sends a copy of fd, which stays open here, and a byte that says what it is. False if the peer is
 * gone or its queue is full. */
bool fdpass_send(int socket, int fd, uint8_t kind);

/* Waits for a descriptor and its byte; returns it, owned by the caller and close-on-exec; -1 when
 * the peer has closed, or sent something else. */
int fdpass_receive(int socket, uint8_t *kind);

/* The same with n bytes that say more, n > 0, over a socket that keeps packets apart. *n: how many
 * there is room for, and how many came. */
bool fdpass_send_with(int socket, int fd, const void *p, size_t n);
int fdpass_receive_with(int socket, void *p, size_t *n);

#endif

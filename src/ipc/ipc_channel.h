/*
 * One end of a stream socket that carries messages; the same code at both ends.
 *
 * The descriptor is non-blocking. The owner decides what to do when the outgoing queue grows:
 * ipc_channel_queued() returns its size.
 */
#ifndef IPC_CHANNEL_H
#define IPC_CHANNEL_H

#include "ipc.h"

struct ipc_channel {
    int fd;             /* owned; -1: closed */
    enum ipc_role role; /* of the other end */
    struct buf in, out;
    size_t taken; /* bytes of the message that the caller holds */
};

/* Takes over fd. role: of the other end, which decides on what it may send. */
void ipc_channel_init(struct ipc_channel *c, int fd, enum ipc_role role);

/* Closes the descriptor, wipes and frees the buffers. Harmless on a closed channel. */
void ipc_channel_close(struct ipc_channel *c);

/* Reads what has arrived. 1: something, 0: nothing for now, -1: the other end is gone. */
int ipc_channel_fill(struct ipc_channel *c);

/* The next complete message: 1 and *m, a view that is valid until the next call on this channel;
 * 0: none; -1: the other end does not keep to the table. */
int ipc_channel_next(struct ipc_channel *c, struct ipc_message *m);

/* Frees the message that ipc_channel_next() gave before its next call would. */
void ipc_channel_drop(struct ipc_channel *c);

/* Writes what it can of c->out. 0: fine, the rest waits for EPOLLOUT; -1: the peer is gone. */
int ipc_channel_flush(struct ipc_channel *c);

/* Has the other end left so much unread, here or in the kernel, that what only matters now had
 * better not be sent? */
bool ipc_channel_lags(const struct ipc_channel *c);

static inline size_t ipc_channel_queued(const struct ipc_channel *c)
{
    return buf_len(&c->out);
}

#endif

/* One end of a message stream; see ipc_channel.h. */
#include "ipc_channel.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "unread.h"

enum { READ_AT_ONCE = 16 * 1024 };

void ipc_channel_init(struct ipc_channel *c, int fd, enum ipc_role role)
{
    *c = (struct ipc_channel){.fd = fd, .role = role};
}

void ipc_channel_close(struct ipc_channel *c)
{
    if (c->fd >= 0)
        close(c->fd);
    buf_wipe(&c->in);
    buf_wipe(&c->out);
    *c = (struct ipc_channel){.fd = -1};
}

void ipc_channel_drop(struct ipc_channel *c)
{
    buf_consume(&c->in, c->taken);
    c->taken = 0;
}

int ipc_channel_fill(struct ipc_channel *c)
{
    ipc_channel_drop(c);
    long n = buf_read(&c->in, c->fd, READ_AT_ONCE);
    if (n > 0)
        return 1;
    return n < 0 && (errno == EAGAIN || errno == EINTR) ? 0 : -1;
}

int ipc_channel_next(struct ipc_channel *c, struct ipc_message *m)
{
    ipc_channel_drop(c);
    if (buf_len(&c->in) == 0)
        return 0;
    long n = ipc_take(buf_head(&c->in), buf_len(&c->in), c->role, m);
    if (n > 0)
        c->taken = (size_t)n;
    return n > 0 ? 1 : (int)n;
}

int ipc_channel_flush(struct ipc_channel *c)
{
    while (buf_len(&c->out) > 0) {
        ssize_t n = send(c->fd, buf_head(&c->out), buf_len(&c->out), MSG_NOSIGNAL);
        if (n < 0)
            return errno == EAGAIN || errno == EINTR ? 0 : -1;
        buf_consume(&c->out, (size_t)n);
    }
    return 0;
}

bool ipc_channel_lags(const struct ipc_channel *c)
{
    return unread_lags(c->fd, buf_len(&c->out));
}

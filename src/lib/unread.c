/* What is not read yet; see unread.h. */
#include "unread.h"

#include <linux/sockios.h>
#include <sys/ioctl.h>

enum { LAG = 8 * 1024 };

int unread_bytes(int socket)
{
    int n = 0;
    return ioctl(socket, SIOCOUTQ, &n) < 0 ? 0 : n;
}

bool unread_lags(int socket, size_t queued)
{
    return (size_t)unread_bytes(socket) + queued > LAG;
}

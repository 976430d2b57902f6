/* Refusing a client; see refuse.h. */
#include "refuse.h"

#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"

enum { KEPT = 64, LINGER_MS = 1000, LOOK_MS = 50 };

static struct {
    int fd; /* valid while until is not 0 */
    int64_t until;
} kept[KEPT];
static int next;

static void let_go(int i)
{
    if (kept[i].until)
        close(kept[i].fd);
    kept[i].until = 0;
}

void refuse_client(int fd)
{
    static const char body[] = "{\"error\":\"The server has as many clients as it may; "
                               "try again later\"}";
    static const char head[] = "HTTP/1.1 503 Service Unavailable\r\n"
                               "Content-Type: application/json\r\n"
                               "Retry-After: 2\r\n"
                               "Connection: close\r\n\r\n";
    char answer[sizeof(head) + sizeof(body)];
    memcpy(answer, head, sizeof(head) - 1);
    memcpy(answer + sizeof(head) - 1, body, sizeof(body) - 1);
    /* A fresh socket has room for this; if not, there is nothing better to do than to close. */
    if (send(fd, answer, sizeof(head) + sizeof(body) - 2, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 ||
        shutdown(fd, SHUT_WR) < 0) {
        close(fd);
        return;
    }
    let_go(next);
    kept[next].fd = fd;
    kept[next].until = clock_ms() + LINGER_MS;
    next = (next + 1) % KEPT;
}

int64_t refuse_close_due(void)
{
    int64_t now = clock_ms(), again = CLOCK_NEVER;
    for (int i = 0; i < KEPT; i++) {
        if (!kept[i].until)
            continue;
        struct pollfd fd = {.fd = kept[i].fd, .events = POLLRDHUP};
        poll(&fd, 1, 0);
        if (now >= kept[i].until || (fd.revents & (POLLRDHUP | POLLHUP | POLLERR)))
            let_go(i);
        else
            again = now + LOOK_MS;
    }
    return again;
}

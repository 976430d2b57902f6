/* Refusing a client; see refuse.h. */
#include "refuse.h"

#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"

enum { LINGER_MS = 1000, LOOK_MS = 50 };

static const char *const texts[] = {
    [REFUSE_CLIENTS] = "The server has as many clients as it may; try again later",
    [REFUSE_ADDRESS] = "Your address has as many connections as it may; close one, or try again "
                       "later",
};

static struct {
    int fd; /* valid while until is not 0 */
    int64_t until;
} kept[REFUSE_KEPT];
static int next;
static uint64_t counts[REFUSALS];

/* Discards what the client has sent, unread: MSG_TRUNC, tcp(7). Closing with unread data would send
 * a reset, which could overtake the answer. */
static void discard(int fd)
{
    recv(fd, NULL, INT_MAX, MSG_TRUNC | MSG_DONTWAIT);
}

static void let_go(int i)
{
    if (kept[i].until) {
        discard(kept[i].fd);
        close(kept[i].fd);
    }
    kept[i].until = 0;
}

static int write_answer(char *answer, size_t size, enum refusal why)
{
    return snprintf(answer, size,
                    "HTTP/1.1 503 Service Unavailable\r\n"
                    "Content-Type: application/json\r\n"
                    "Retry-After: 2\r\n"
                    "Connection: close\r\n\r\n"
                    "{\"error\":\"%s\"}",
                    texts[why]);
}

/* A record of TLS with the fatal alert internal_error (RFC 8446, sections 5.1 and 6). */
static int write_alert(char *answer)
{
    static const unsigned char alert[] = {21, 3, 3, 0, 2, 2, 80};
    memcpy(answer, alert, sizeof(alert));
    return sizeof(alert);
}

void refuse_client(int fd, bool tls, enum refusal why)
{
    char answer[400];
    counts[why]++;
    int n = tls ? write_alert(answer) : write_answer(answer, sizeof(answer), why);
    /* A fresh socket has room for this; if not, just close. */
    if (send(fd, answer, (size_t)n, MSG_NOSIGNAL | MSG_DONTWAIT) < 0 || shutdown(fd, SHUT_WR) < 0) {
        close(fd);
        return;
    }
    let_go(next);
    kept[next].fd = fd;
    kept[next].until = clock_ms() + LINGER_MS;
    next = (next + 1) % REFUSE_KEPT;
}

uint64_t refuse_count(enum refusal why)
{
    return counts[why];
}

int64_t refuse_close_due(void)
{
    static struct pollfd fds[REFUSE_KEPT];
    int64_t now = clock_ms(), again = CLOCK_NEVER;
    for (int i = 0; i < REFUSE_KEPT; i++) {
        fds[i] = (struct pollfd){.fd = kept[i].until ? kept[i].fd : -1, .events = POLLRDHUP};
        if (kept[i].until)
            again = now + LOOK_MS;
    }
    if (again == CLOCK_NEVER || poll(fds, REFUSE_KEPT, 0) < 0)
        return again;
    for (int i = 0; i < REFUSE_KEPT; i++)
        if (kept[i].until && (now >= kept[i].until || fds[i].revents))
            let_go(i);
    return again;
}

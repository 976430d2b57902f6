/* The client's connection; see client.h. */
#include "client.h"

#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "log.h"
#include "proctitle.h"
#include "unread.h"

enum { READ_AT_ONCE = 16 * 1024, LINGER_MS = 1000 };

volatile sig_atomic_t client_stop;
static sigset_t while_waiting;

static void on_term(int signal)
{
    (void)signal;
    client_stop = 1;
}

void client_init_signals(void)
{
    sigset_t term;
    sigemptyset(&term);
    sigaddset(&term, SIGTERM);
    sigprocmask(SIG_BLOCK, &term, &while_waiting);
    sigdelset(&while_waiting, SIGTERM);
    struct sigaction action = {.sa_handler = on_term};
    sigaction(SIGTERM, &action, NULL);
}

/* ppoll(2) delivers no signal if a descriptor is ready at once, so a session that is always busy
 * must look for SIGTERM itself. */
static void look_for_term(void)
{
    static unsigned calls;
    sigset_t pending;
    if (++calls % 64 == 0 && sigpending(&pending) == 0 && sigismember(&pending, SIGTERM) == 1)
        client_stop = 1;
}

int client_poll(struct pollfd *fds, unsigned count, int64_t deadline)
{
    look_for_term();
    int ms = clock_until(deadline);
    struct timespec ts = {ms / 1000, ms % 1000 * 1000000L};
    return ppoll(fds, count, ms < 0 ? NULL : &ts, &while_waiting);
}

static void find_where_from(struct client *c)
{
    struct sockaddr_storage ss = {0};
    socklen_t size = sizeof(ss);
    if (getpeername(c->fd, (struct sockaddr *)&ss, &size) < 0)
        ss.ss_family = AF_UNSPEC; /* it is gone already */
    c->local = ss.ss_family == AF_UNIX;
    netaddr_from_socket(&c->from, &ss);
}

void client_name(struct client *c, const struct netaddr *address)
{
    netaddr_format(address, c->address);
    c->unauthorized = 0;
    proctitle_set("session - %s", c->address);
    log_client(NULL, c->address);
}

void client_init(struct client *c, const struct conf *conf, int fd)
{
    *c = (struct client){.conf = conf, .fd = fd};
    find_where_from(c);
    client_name(c, &c->from);
    /* Each write is a whole answer or frame: nothing to wait for. Fails on Unix sockets. */
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
}

bool client_may(struct client *c, int64_t amount)
{
    struct bucket_rate rate = {c->conf->frame_rate, 1000};
    return bucket_take(&c->frames, rate, clock_ms(), amount);
}

bool client_read_exactly(struct client *c, void *p, size_t n, int64_t deadline)
{
    for (uint8_t *at = p; n > 0;) {
        ssize_t got = read(c->fd, at, n);
        if (got > 0) {
            at += got;
            n -= (size_t)got;
            continue;
        }
        if (got == 0 || (errno != EAGAIN && errno != EINTR))
            return false;
        struct pollfd fd = {.fd = c->fd, .events = POLLIN};
        if (client_stop || client_poll(&fd, 1, deadline) == 0)
            return false;
    }
    return true;
}

/* The first one is the reason for the others. */
static void note_ending(struct client *c, enum ending ending)
{
    if (c->ending == ENDING_GOOD)
        c->ending = ending;
}

static void leave_tls(struct client *c)
{
    if (c->tls)
        note_ending(c, c->plain_http ? ENDING_TLS_PLAIN : tls_ending(c->tls));
    tls_free(c->tls);
    c->tls = NULL;
}

bool client_start_tls(struct client *c, tls_sign *sign, void *arg)
{
    c->tls = tls_new(c->fd, sign, arg);
    int64_t deadline = clock_ms() + c->conf->header_timeout;
    int done = c->tls ? 0 : -1;
    while (done == 0 && (done = tls_accept(c->tls, &c->plain_http)) == 0) {
        struct pollfd fd = {.fd = c->fd, .events = tls_read_events(c->tls)};
        if (client_stop || clock_ms() >= deadline || client_poll(&fd, 1, deadline) == 0) {
            log_debug("TLS: the handshake did not end in time");
            note_ending(c, client_stop ? ENDING_GOOD : ENDING_TLS_LATE);
            done = -1;
        }
    }
    char text[128];
    if (done > 0)
        log_debug("TLS: %s", tls_describe(c->tls, text, sizeof(text)));
    else
        leave_tls(c);
    return done > 0;
}

enum ending client_free(struct client *c)
{
    leave_tls(c);
    buf_wipe(&c->in);
    buf_wipe(&c->out);
    close(c->fd);
    return c->ending;
}

static short read_events(const struct client *c)
{
    return (short)(c->tls ? tls_read_events(c->tls) : POLLIN);
}

short client_events(const struct client *c, bool input)
{
    int events = input ? read_events(c) : 0;
    if (buf_len(&c->out) > 0)
        events |= c->tls ? tls_write_events(c->tls) : POLLOUT;
    return (short)events;
}

bool client_readable(const struct client *c, short events)
{
    return events & (read_events(c) | POLLIN | POLLHUP | POLLERR);
}

long client_receive(struct client *c)
{
    return c->tls ? tls_read(c->tls, &c->in) : buf_read(&c->in, c->fd, READ_AT_ONCE);
}

static long send_some(struct client *c)
{
    return c->tls ? tls_write(c->tls, &c->out) : buf_write(&c->out, c->fd);
}

int client_read(struct client *c, int64_t deadline)
{
    for (;;) {
        long n = client_receive(c);
        if (n > 0)
            return 1;
        if (n == 0 || (errno != EAGAIN && errno != EINTR))
            return 0;
        struct pollfd fd = {.fd = c->fd, .events = read_events(c)};
        if (client_stop || clock_ms() >= deadline || client_poll(&fd, 1, deadline) == 0)
            return -1;
    }
}

/* The client takes nothing at this moment: looks whether it has taken something since the last. */
static void look_for_progress(struct client *c)
{
    int64_t now = clock_ms();
    int left = unread_bytes(c->fd);
    if (!c->late_since) {
        c->late_since = now;
        c->given = left;
    }
    if (!c->stuck_since || c->left != left)
        c->stuck_since = now;
    c->left = left;
}

int client_write(struct client *c)
{
    while (buf_len(&c->out) > 0) {
        long n = send_some(c);
        if (n <= 0) {
            if (errno != EAGAIN && errno != EINTR)
                return -1;
            look_for_progress(c);
            return clock_ms() >= client_write_deadline(c) ? -1 : 0;
        }
        c->stuck_since = 0;
        c->given += n;
    }
    c->stuck_since = c->late_since = 0;
    return 1;
}

bool client_lags(const struct client *c)
{
    return c->late_since || unread_lags(c->fd, buf_len(&c->out));
}

/* What the client has taken so far pays for so much time. */
static int64_t rate_deadline(const struct client *c)
{
    int64_t rate = (int64_t)c->conf->min_rate, taken = c->given - c->left;
    return rate ? c->late_since + c->conf->write_timeout + taken * 1000 / rate : CLOCK_NEVER;
}

int64_t client_write_deadline(const struct client *c)
{
    if (!c->stuck_since)
        return CLOCK_NEVER;
    int64_t stuck = c->stuck_since + c->conf->write_timeout, late = rate_deadline(c);
    return stuck < late ? stuck : late;
}

bool client_flush(struct client *c)
{
    int done;
    while ((done = client_write(c)) == 0) {
        struct pollfd fd = {.fd = c->fd, .events = client_events(c, false)};
        client_poll(&fd, 1, client_write_deadline(c));
    }
    return done > 0;
}

void client_linger(struct client *c)
{
    if (c->tls)
        tls_close(c->tls);
    /* Closing with unread input would send a reset, which can overtake the last answer. */
    shutdown(c->fd, SHUT_WR);
    int64_t deadline = clock_ms() + LINGER_MS;
    char waste[4096];
    for (;;) {
        ssize_t n = recv(c->fd, waste, sizeof(waste), MSG_DONTWAIT);
        if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
            return;
        struct pollfd fd = {.fd = c->fd, .events = POLLIN};
        if (n < 0 && (client_stop || poll(&fd, 1, clock_until(deadline)) == 0))
            return;
        if (clock_ms() >= deadline)
            return;
    }
}

/* Sockets and the loop that serves them; see load.h. Nothing here blocks but net_turn(). */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "load.h"

enum { READ_SIZE = 16384, EVENTS_AT_ONCE = 256, MAX_HOSTS = 16 };

static struct sockaddr_in hosts[MAX_HOSTS];
static int host_count, dialled;
static int epoll_fd;

/* In the middle of a turn a connection may be closed that has an event further down the list. */
static struct epoll_event events[EVENTS_AT_ONCE];
static int event_count;

void bytes_add(struct bytes *b, const void *p, size_t n)
{
    if (b->size - b->used < n) {
        while (b->size - b->used < n)
            b->size = b->size ? b->size * 2 : 512;
        b->p = realloc(b->p, b->size);
        if (!b->p)
            quit("no memory");
    }
    memcpy(b->p + b->used, p, n);
    b->used += n;
}

void bytes_drop(struct bytes *b, size_t n)
{
    b->used -= n;
    if (b->used > 0)
        memmove(b->p, b->p + n, b->used);
}

void bytes_free(struct bytes *b)
{
    free(b->p);
    *b = (struct bytes){0};
}

void net_init(char *ports)
{
    char *port, *rest = ports;
    while ((port = strsep(&rest, ","))) {
        if (host_count == MAX_HOSTS)
            quit("at most %d ports", MAX_HOSTS);
        hosts[host_count++] = (struct sockaddr_in){
            .sin_family = AF_INET,
            .sin_port = htons((uint16_t)count_of(port, "port", 1, 65535)),
            .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
        };
    }
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (epoll_fd < 0)
        quit("epoll_create1: %s", strerror(errno));
}

double net_now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static void watch(struct conn *c, int op)
{
    struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
    if (c->connecting || c->out.used > 0)
        e.events |= EPOLLOUT;
    if (epoll_ctl(epoll_fd, op, c->fd, &e) < 0)
        quit("epoll_ctl: %s", strerror(errno));
}

void net_watch(struct conn *c)
{
    watch(c, EPOLL_CTL_ADD);
}

void net_dial(struct conn *c)
{
    int on = 1;
    c->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->fd < 0)
        quit("socket: %s", strerror(errno));
    setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    const struct sockaddr_in *host = &hosts[dialled++ % host_count];
    if (connect(c->fd, (const struct sockaddr *)host, sizeof(*host)) < 0 && errno != EINPROGRESS)
        quit("connect: %s", strerror(errno));
    c->connecting = true;
    watch(c, EPOLL_CTL_ADD);
}

static void flush(struct conn *c)
{
    bool waited = c->out.used > 0;
    ssize_t n = waited ? write(c->fd, c->out.p, c->out.used) : 0;
    if (n < 0 && errno != EAGAIN)
        quit("write: %s", strerror(errno));
    if (n > 0)
        bytes_drop(&c->out, (size_t)n);
    if (waited && c->out.used == 0)
        watch(c, EPOLL_CTL_MOD);
}

void net_send(struct conn *c, const void *p, size_t n)
{
    ssize_t done = c->out.used > 0 ? 0 : write(c->fd, p, n);
    if (done < 0 && errno != EAGAIN)
        quit("write: %s", strerror(errno));
    if (done < 0)
        done = 0;
    if ((size_t)done == n)
        return;
    bool first = c->out.used == 0;
    bytes_add(&c->out, (const char *)p + done, n - (size_t)done);
    if (first)
        watch(c, EPOLL_CTL_MOD);
}

void net_close(struct conn *c)
{
    close(c->fd);
    c->fd = -1;
    c->connecting = false;
    bytes_free(&c->in);
    bytes_free(&c->out);
    for (int i = 0; i < event_count; i++) {
        if (events[i].data.ptr == c)
            events[i].data.ptr = NULL;
    }
}

static void finish_dial(struct conn *c)
{
    int error = 0;
    socklen_t size = sizeof(error);
    getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &size);
    if (error)
        quit("connect: %s", strerror(error));
    c->connecting = false;
    watch(c, EPOLL_CTL_MOD);
    c->opened(c);
}

static void take(struct conn *c)
{
    char part[READ_SIZE];
    ssize_t n = read(c->fd, part, sizeof(part));
    if (n < 0 && errno == EAGAIN)
        return;
    if (n > 0) {
        bytes_add(&c->in, part, (size_t)n);
        c->readable(c);
    } else if (c->ended) {
        c->ended(c);
    } else {
        quit("the server closed a connection: %s", n < 0 ? strerror(errno) : "end of stream");
    }
}

void net_run_until(double end)
{
    for (double left; (left = end - net_now()) > 0;)
        net_turn(left);
}

void net_turn(double seconds)
{
    int n =
        epoll_wait(epoll_fd, events, EVENTS_AT_ONCE, seconds <= 0 ? 0 : (int)(seconds * 1e3) + 1);
    if (n < 0 && errno != EINTR)
        quit("epoll_wait: %s", strerror(errno));
    event_count = n > 0 ? n : 0;
    for (int i = 0; i < event_count; i++) {
        struct conn *c = events[i].data.ptr;
        if (c && c->connecting)
            finish_dial(c);
        else if (c && (events[i].events & EPOLLOUT))
            flush(c);
        /* It may be gone by now. */
        c = events[i].data.ptr;
        if (c && (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)))
            take(c);
    }
    event_count = 0;
}

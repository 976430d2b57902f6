/*
 * An echo on chatd's own HTTP and WebSocket code, for conformance suites that know nothing of chat.
 *
 *   ws_echo PORT      serves ws://127.0.0.1:PORT/, any path; 0: any free port; prints the address
 *
 * One process for each client. What src/wire decides is what a chatd session decides; here is only
 * what a server needs around it: sockets, and the order in which answers go out. Text and binary
 * come back as they are, up to 16 MiB; permessage-deflate is agreed on when it is offered.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "buf.h"
#include "clock.h"
#include "http.h"
#include "log.h"
#include "ws.h"

enum {
    MAX_HEAD = 8 * 1024,
    MAX_MESSAGE = 16 * 1024 * 1024,
    OUT_HIGH = 64 * 1024, /* above this nothing is read, so that who does not read cannot fill us */
    READ_AT_ONCE = 16 * 1024,
    HEAD_MS = 10 * 1000,
    LINGER_MS = 2 * 1000, /* for the client to close after we have */
};

struct peer {
    int fd;
    struct buf in, out;
    struct ws_reader reader;
    struct ws_deflate deflate;
    bool closing; /* our close frame is the last thing in out */
};

/* --- the socket, which blocks --- */

static bool wait_for_input(const struct peer *c, int64_t deadline)
{
    struct pollfd fd = {.fd = c->fd, .events = POLLIN};
    return poll(&fd, 1, clock_until(deadline)) > 0;
}

static bool read_some(struct peer *c)
{
    return buf_read(&c->in, c->fd, READ_AT_ONCE) > 0;
}

static bool write_all(struct peer *c)
{
    while (buf_len(&c->out) > 0)
        if (buf_write(&c->out, c->fd) < 0 && errno != EINTR)
            return false;
    return true;
}

/* The server closes first (RFC 6455 7.1.1); a reset because of unread input could overtake what was
 * written last. */
static void hang_up(struct peer *c)
{
    int64_t deadline = clock_ms() + LINGER_MS;
    shutdown(c->fd, SHUT_WR);
    buf_free(&c->in);
    while (clock_ms() < deadline && wait_for_input(c, deadline) && read_some(c))
        buf_free(&c->in);
}

/* --- HTTP --- */

static void put_refusal(struct peer *c, int status, const char *error)
{
    http_response_begin(&c->out, status, time(NULL));
    http_response_field(&c->out, "Connection", "close");
    http_response_field(&c->out, "Content-Type", "text/plain");
    if (status == 405)
        http_response_field(&c->out, "Allow", "GET");
    if (status == 426) {
        http_response_field(&c->out, "Connection", "Upgrade");
        http_response_field(&c->out, "Upgrade", "websocket");
        http_response_field(&c->out, "Sec-WebSocket-Version", "13");
    }
    http_response_fieldf(&c->out, "Content-Length", "%zu", strlen(error) + 1);
    http_response_end(&c->out);
    buf_printf(&c->out, "%s\n", error);
}

/* Answers a request whose head is whole. True if it was a handshake. */
static bool answer(struct peer *c, const struct http_request *r)
{
    const char *error;
    int status = 405;
    if (!http_text_is(r->method, "GET"))
        error = "A WebSocket is opened by GET";
    else
        status = ws_handshake_check(r, &c->deflate, &error);
    if (status != 0)
        put_refusal(c, status, error);
    else
        ws_handshake_accept(&c->out, r, NULL, &c->deflate, time(NULL));
    return status == 0;
}

/* Reads one request and answers it. True if the connection is a WebSocket now. */
static bool shake_hands(struct peer *c)
{
    struct http_request r;
    int64_t deadline = clock_ms() + HEAD_MS;
    long n = 0;
    while (n == 0) {
        if (!wait_for_input(c, deadline) || !read_some(c))
            return false;
        n = http_request_parse(buf_head(&c->in), buf_len(&c->in), MAX_HEAD, &r);
    }
    bool done = false;
    if (n < 0) {
        put_refusal(c, (int)-n, r.error);
    } else {
        done = answer(c, &r);
        buf_consume(&c->in, (size_t)n);
    }
    return write_all(c) && done;
}

/* --- WebSocket --- */

static void say_goodbye(struct peer *c, int code, const char *reason)
{
    ws_put_close(&c->out, code, reason);
    c->closing = true;
}

static void take_event(struct peer *c, enum ws_event event, const struct ws_data *d)
{
    switch (event) {
    case WS_TEXT:
        ws_put_message(&c->out, WS_OP_TEXT, d->p, d->n, &c->deflate);
        break;
    case WS_BINARY:
        ws_put_message(&c->out, WS_OP_BINARY, d->p, d->n, &c->deflate);
        break;
    case WS_PING:
        ws_put_frame(&c->out, WS_OP_PONG, d->p, d->n);
        break;
    case WS_CLOSE:
        say_goodbye(c, d->code, NULL);
        break;
    case WS_FAIL:
        say_goodbye(c, d->code, d->reason);
        break;
    case WS_PONG:
    case WS_TOO_LARGE: /* not here: what is too large fails from its header */
    case WS_NEED_MORE:
        break;
    }
}

/* Takes what is there. False if the connection has ended. */
static bool take_input(struct peer *c)
{
    struct ws_data d;
    enum ws_event event;
    while (!c->closing && (event = ws_read(&c->reader, &c->in, &d)) != WS_NEED_MORE) {
        take_event(c, event, &d);
        if (buf_len(&c->out) > OUT_HIGH && !write_all(c))
            return false;
    }
    return write_all(c) && !c->closing;
}

static void serve(int fd)
{
    struct peer c = {.fd = fd};
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    if (shake_hands(&c)) {
        ws_reader_init(&c.reader, MAX_MESSAGE, MAX_MESSAGE);
        ws_reader_allow_deflate(&c.reader, &c.deflate);
        while (take_input(&c) && read_some(&c))
            ;
        ws_reader_free(&c.reader);
    }
    hang_up(&c);
    buf_free(&c.in);
    buf_free(&c.out);
}

/* --- the listener --- */

static int open_listener(const char *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(a);
    char *end;
    unsigned long number = strtoul(port, &end, 10);
    if (*port == '\0' || *end != '\0' || number > UINT16_MAX)
        die("\"%s\" is no port: give a number from 0 to 65535", port);
    a.sin_port = htons((uint16_t)number);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (fd < 0 || bind(fd, (struct sockaddr *)&a, sizeof(a)) < 0 || listen(fd, 128) < 0 ||
        getsockname(fd, (struct sockaddr *)&a, &size) < 0)
        die("listening on 127.0.0.1:%s: %s", port, strerror(errno));
    printf("ws://127.0.0.1:%d/\n", ntohs(a.sin_port));
    fflush(stdout);
    return fd;
}

static void on_end(int signal)
{
    (void)signal;
    _exit(0);
}

int main(int argc, char **argv)
{
    log_process("ws_echo");
    if (argc != 2)
        die("usage: ws_echo PORT");
    signal(SIGTERM, on_end);
    signal(SIGINT, on_end);
    signal(SIGPIPE, SIG_IGN);
    signal(SIGCHLD, SIG_IGN); /* no zombies */
    int listener = open_listener(argv[1]);
    pid_t parent = getpid();
    for (;;) {
        int fd = accept(listener, NULL, NULL);
        if (fd < 0)
            continue;
        if (fork() == 0) {
            prctl(PR_SET_PDEATHSIG, SIGTERM); /* clients do not outlive the server */
            close(listener);
            if (getppid() == parent)
                serve(fd);
            exit(0);
        }
        close(fd);
    }
}

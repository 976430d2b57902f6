/*
 * A load generator: pairs of WebSocket clients that send messages to each other.
 *
 *   load PORT pairs P W SECONDS   P pairs, each with W messages in flight from one to the other;
 *                                 a message counts when its sender has the ack and its receiver
 *                                 has the frame
 *   load PORT idle N              N connections that do nothing; prints "idle" when all are open
 *                                 and waits until standard input ends
 *
 * It shares no code with the server, registers its users through the server's own API, and
 * prints one line: messages, seconds, rate, and the latencies from sending to receipt.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { IN_SIZE = 65536, MAX_LATENCIES = 4000000, FRAME_TEXT = 256 };

struct end {
    int fd;
    long long user;
    bool sender;
    struct end *other;
    uint64_t sent, acked, received;
    size_t used;
    char *in;
};

static int port, epoll_fd;
static double *latencies;
static size_t latency_count;
static bool measuring;

static void __attribute__((noreturn, format(printf, 1, 2))) quit(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    exit(1);
}

static double now(void)
{
    struct timespec ts;
    clock_gettime(CLOCK_MONOTONIC, &ts);
    return (double)ts.tv_sec + (double)ts.tv_nsec / 1e9;
}

static int dial(void)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
    inet_pton(AF_INET, "127.0.0.1", &a.sin_addr);
    int fd = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    if (fd < 0 || connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
        quit("connect: %s", strerror(errno));
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
    return fd;
}

static void write_all(int fd, const char *p, size_t n)
{
    while (n > 0) {
        ssize_t done = write(fd, p, n);
        if (done < 0 && errno == EAGAIN)
            continue;
        if (done <= 0)
            quit("write: %s", strerror(errno));
        p += done;
        n -= (size_t)done;
    }
}

/* Reads until the text holds mark; what follows it is read too if it came along. */
static size_t read_until(int fd, char *text, size_t size, const char *mark)
{
    size_t n = 0;
    for (;;) {
        ssize_t got = read(fd, text + n, size - 1 - n);
        if (got <= 0)
            quit("the server closed: %.*s", (int)n, text);
        n += (size_t)got;
        text[n] = 0;
        if (strstr(text, mark))
            return n;
    }
}

/* Registers a user over one connection each; returns the token. */
static char *make_user(long long *id)
{
    static unsigned counter;
    char body[256], request[512], answer[4096];
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME, &ts);
    char name[32];
    snprintf(name, sizeof(name), "l%llx.%x.%x", (long long)ts.tv_sec * 1000000000 + ts.tv_nsec,
             (unsigned)getpid(), counter++);
    int n = snprintf(body, sizeof(body),
                     "{\"username\":\"%s\",\"password\":\"%s-password\",\"email\":\"%s@x.org\"}",
                     name, name, name);
    snprintf(request, sizeof(request),
             "POST /register HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\n"
             "Connection: close\r\nContent-Length: %d\r\n\r\n%s",
             n, body);
    int fd = dial();
    write_all(fd, request, strlen(request));
    read_until(fd, answer, sizeof(answer), "}}");
    close(fd);
    char *token = strstr(answer, "\"token\":\""), *user = strstr(answer, "\"user\":{\"id\":");
    if (!token || !user)
        quit("register: %s", answer);
    *id = atoll(user + strlen("\"user\":{\"id\":"));
    token += strlen("\"token\":\"");
    return strndup(token, strcspn(token, "\""));
}

static void open_end(struct end *e)
{
    char *token = make_user(&e->user), request[4096], answer[IN_SIZE];
    e->fd = dial();
    snprintf(request, sizeof(request),
             "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
             "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n"
             "Authorization: Bearer %s\r\n\r\n",
             token);
    free(token);
    write_all(e->fd, request, strlen(request));
    size_t n = read_until(e->fd, answer, sizeof(answer), "\r\n\r\n");
    if (strncmp(answer, "HTTP/1.1 101", 12) != 0)
        quit("upgrade: %s", answer);
    char *rest = strstr(answer, "\r\n\r\n") + 4;
    e->in = malloc(IN_SIZE);
    e->used = n - (size_t)(rest - answer);
    memcpy(e->in, rest, e->used);
    fcntl(e->fd, F_SETFL, O_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = e};
    epoll_ctl(epoll_fd, EPOLL_CTL_ADD, e->fd, &event);
}

/* One text frame, masked with zeros, which RFC 6455 allows and which costs nothing here. */
static void send_frame(int fd, const char *text, size_t n)
{
    char frame[FRAME_TEXT + 8] = {(char)0x81};
    size_t head = n < 126 ? 2 : 4;
    frame[1] = (char)(0x80 | (n < 126 ? n : 126));
    if (n >= 126) {
        frame[2] = (char)(n >> 8);
        frame[3] = (char)n;
    }
    memcpy(frame + head + 4, text, n);
    write_all(fd, frame, head + 4 + n);
}

static void send_message(struct end *e)
{
    char text[FRAME_TEXT];
    int n =
        snprintf(text, sizeof(text),
                 "{\"type\":\"message\",\"id\":\"m%llu\",\"content\":\"T%.9f and some more text\","
                 "\"data\":{\"receiver_id\":%lld}}",
                 (unsigned long long)e->sent++, now(), e->other->user);
    send_frame(e->fd, text, (size_t)n);
}

static void take_text(struct end *e, const char *text, size_t n)
{
    if (n > 13 && memcmp(text, "{\"type\":\"ack\"", 13) == 0) {
        e->acked++;
        send_message(e);
    } else if (n > 17 && memcmp(text, "{\"type\":\"message\"", 17) == 0) {
        const char *stamp = strstr(text, "\"content\":\"T");
        e->received++;
        if (measuring && stamp && latency_count < MAX_LATENCIES)
            latencies[latency_count++] = now() - atof(stamp + strlen("\"content\":\"T"));
    } else if (memmem(text, n, "\"error\"", 7)) {
        quit("error frame: %.*s", (int)n, text);
    }
}

/* Takes the frames that are complete; the server's are not masked. */
static void take_frames(struct end *e)
{
    size_t at = 0;
    while (e->used - at >= 2) {
        const unsigned char *p = (unsigned char *)e->in + at;
        size_t n = p[1] & 0x7f, head = 2;
        if (n == 126) {
            if (e->used - at < 4)
                break;
            n = (size_t)p[2] << 8 | p[3];
            head = 4;
        } else if (n == 127) {
            quit("a frame of more than 64 kB");
        }
        if (e->used - at < head + n)
            break;
        if ((p[0] & 0x0f) == 1) {
            char saved = e->in[at + head + n];
            e->in[at + head + n] = 0;
            take_text(e, (const char *)p + head, n);
            e->in[at + head + n] = saved;
        } else if ((p[0] & 0x0f) == 9) {
            char pong[6] = {(char)0x8a, (char)0x80};
            write_all(e->fd, pong, sizeof(pong));
        } else if ((p[0] & 0x0f) == 8) {
            quit("the server closed the WebSocket");
        }
        at += head + n;
    }
    memmove(e->in, e->in + at, e->used - at);
    e->used -= at;
}

static void run_until(double end)
{
    struct epoll_event events[256];
    while (now() < end) {
        int n = epoll_wait(epoll_fd, events, 256, 50);
        for (int i = 0; i < n; i++) {
            struct end *e = events[i].data.ptr;
            ssize_t got = read(e->fd, e->in + e->used, IN_SIZE - 1 - e->used);
            if (got == 0 || (got < 0 && errno != EAGAIN))
                quit("the server closed a connection");
            e->used += got > 0 ? (size_t)got : 0;
            take_frames(e);
        }
    }
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double percentile(double p)
{
    return latency_count ? latencies[(size_t)((double)(latency_count - 1) * p)] * 1000 : 0;
}

static void pairs(int count, int window, double seconds)
{
    struct end *ends = calloc((size_t)count * 2, sizeof(*ends));
    latencies = malloc(MAX_LATENCIES * sizeof(*latencies));
    for (int i = 0; i < count * 2; i++)
        open_end(&ends[i]);
    for (int i = 0; i < count; i++) {
        ends[2 * i].other = &ends[2 * i + 1];
        ends[2 * i].sender = true;
        for (int w = 0; w < window; w++)
            send_message(&ends[2 * i]);
    }
    run_until(now() + 1); /* warm up */
    uint64_t before = 0, after = 0;
    for (int i = 0; i < count; i++)
        before += ends[2 * i].acked;
    measuring = true;
    double start = now();
    run_until(start + seconds);
    double took = now() - start;
    for (int i = 0; i < count; i++)
        after += ends[2 * i].acked;
    qsort(latencies, latency_count, sizeof(*latencies), compare);
    printf("pairs %d window %d: %llu messages in %.2f s, %.0f per second, "
           "latency ms p50 %.2f p99 %.2f\n",
           count, window, (unsigned long long)(after - before), took,
           (double)(after - before) / took, percentile(0.50), percentile(0.99));
}

static void idle(int count)
{
    struct end *ends = calloc((size_t)count, sizeof(*ends));
    for (int i = 0; i < count; i++)
        open_end(&ends[i]);
    printf("idle %d\n", count);
    fflush(stdout);
    char waste[64];
    while (read(STDIN_FILENO, waste, sizeof(waste)) > 0)
        ;
}

int main(int argc, char **argv)
{
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
    epoll_fd = epoll_create1(0);
    if (argc == 6 && strcmp(argv[2], "pairs") == 0) {
        port = atoi(argv[1]);
        pairs(atoi(argv[3]), atoi(argv[4]), atof(argv[5]));
    } else if (argc == 4 && strcmp(argv[2], "idle") == 0) {
        port = atoi(argv[1]);
        idle(atoi(argv[3]));
    } else {
        quit("usage: load PORT pairs P W SECONDS | load PORT idle N");
    }
    return 0;
}

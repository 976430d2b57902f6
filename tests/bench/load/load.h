/*
 * The load generator: what its files share. One thread, one epoll, and a client side of its own for
 * HTTP and WebSocket, so that no mistake of the server is repeated here and believed.
 *
 * Whatever is not as it must be ends the program with a sentence and status 1: a result that is
 * printed is one in which everything that was sent came back, and once.
 */
#ifndef LOAD_H
#define LOAD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

void quit(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* The arguments of a mode, as numbers within bounds. */
int count_of(const char *text, const char *what, int least, int most);
double seconds_of(const char *text);

/* --- net.c: sockets --- */

struct bytes {
    char *p;
    size_t used, size;
};

void bytes_add(struct bytes *b, const void *p, size_t n);
void bytes_drop(struct bytes *b, size_t n); /* from the front */
void bytes_free(struct bytes *b);

/* Embedded in what uses it, which sets the three calls and zeroes the rest. Only ws.c's own callers
 * close one of a WebSocket, and not from within text(). */
struct conn {
    int fd;
    bool connecting;
    void (*opened)(struct conn *c);
    void (*readable)(struct conn *c); /* there is something new in "in" */
    void (*ended)(struct conn *c);    /* the server closed; NULL: it must not */
    struct bytes in, out;
};

void net_init(char *ports);
double net_now(void);          /* seconds of the monotonic clock */
void net_dial(struct conn *c); /* calls opened() later */
void net_send(struct conn *c, const void *p, size_t n);
void net_close(struct conn *c);
void net_watch(struct conn *c); /* a descriptor that is open already, for readable() and ended() */
void net_turn(double seconds);  /* waits at most so long, and serves what came */
void net_run_until(double end);

/* --- http.c: HTTP/1.1 --- */

struct answer {
    int status;
    const char *body; /* in the connection's "in", until http_drop() */
    size_t size, whole;
};

void http_request(struct conn *c, const char *method, const char *path, const char *token,
                  const char *body, bool last);     /* last: Connection: close */
bool http_answer(struct conn *c, struct answer *a); /* whether one is there, whole */
void http_drop(struct conn *c, const struct answer *a);

/* --- users.c: who takes part --- */

struct user {
    long long id;
    char *name, *password, *token;
};

extern struct user *users;
extern int user_count;

void users_read(const char *file);
void users_need(int count);
void users_register(int count); /* and prints the lines that users_read() takes */

extern char run_id[17]; /* so that no id of an earlier run comes again */
void run_id_make(void);

/* --- ws.c: WebSocket (RFC 6455) --- */

struct ws {
    struct conn conn; /* first: the two have one address */
    const struct user *user;
    const char *cursor; /* to begin at; NULL: now */
    bool is_open;
    void (*opened)(struct ws *w);
    void (*text)(struct ws *w, const char *text,
                 size_t n); /* ends in a NUL that n does not count */
};

extern unsigned long ws_pings;    /* that were answered */
extern unsigned long ws_statuses; /* user_status frames that came, on all connections */

void ws_open(struct ws *w); /* user, the two calls, and cursor are set */
void ws_send_text(struct ws *w, const char *text, size_t n);
bool ws_is(const char *text, size_t n, const char *type); /* the "type" of a frame */

/* The number behind this mark; a text without it is of a kind that nobody asked for. */
uint64_t ws_number(const char *text, const char *mark);

/* --- result.c: what is printed --- */

/* Latencies, to about 1.6 %. */
struct histogram {
    uint64_t count, buckets[64 * 40];
    double sum, max;
};

void histogram_add(struct histogram *h, double seconds);

/* One JSON object on one line: result_begin(), members, result_end(). */
void result_begin(const char *mode);
void result_count(const char *name, unsigned long long value);
void result_number(const char *name, double value);
void result_latency(const char *name, const struct histogram *h); /* NAME_p50_ms and so on */
void result_end(void);

/* The processor time of this program between two calls, for the share that it took. */
double cpu_seconds(void);

/* --- the modes; each takes its arguments and prints its result --- */

void pairs_run(char **args);
void pairs_count(char **args);
void groups_run(char **args);
void flood_run(char **args);
void idle_run(char **args);
void http_run(char **args);
void login_run(char **args);
void resume_run(char **args);

#endif

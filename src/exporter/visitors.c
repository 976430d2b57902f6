/* Connections to admin_listen; see visitors.h. */
#include "visitors.h"

#include <errno.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "buf.h"
#include "http.h"
#include "log.h"
#include "numbers.h"
#include "pages.h"
#include "process.h"
#include "repeats.h"

enum {
    MOST = 48,        /* fewer than the descriptors that its sandbox allows */
    LIFE_MS = 10000,  /* of each, from the first byte to the last */
    LINGER_MS = 1000, /* for a client to close, once it has its answer */
    PAUSE_MS = 100,   /* without accepting, when out of descriptors */
    HEAD_MOST = 8192, /* bytes of a request */
};

static struct visitor {
    struct loop_watch watch;
    struct loop_timer life;
    enum {
        ABSENT,
        READING,   /* its request */
        WAITING,   /* for the next inquiry */
        ASKED,     /* for the one under way */
        WRITING,   /* the answer */
        LINGERING, /* until it closes, lest a reset overtake the answer */
    } stage;
    uint64_t number; /* in the order in which they came */
    enum page page;
    bool bodiless;
    struct buf in, out;
} visitors[MOST];

static struct loop *loop;
static struct loop_watch listener;
static struct loop_timer pause_over;
static uint64_t last;
static int present;
static bool stopped;

/* Whether others come in, or wait in the queue of the kernel. */
static void listen_for_more(bool on)
{
    if (!stopped)
        loop_modify(loop, &listener, on ? EPOLLIN : 0);
}

static void leave(struct visitor *v)
{
    loop_remove(loop, &v->watch);
    loop_timer_stop(loop, &v->life);
    close(v->watch.fd);
    buf_free(&v->in);
    buf_free(&v->out);
    v->stage = ABSENT;
    present--;
    listen_for_more(true); /* there is a place */
}

static void on_late(void *arg)
{
    leave(arg);
}

/* --- the answer --- */

static void linger(struct visitor *v)
{
    v->stage = LINGERING;
    shutdown(v->watch.fd, SHUT_WR);
    loop_timer_set(loop, &v->life, LINGER_MS);
    loop_modify(loop, &v->watch, EPOLLIN);
}

static void write_some(struct visitor *v)
{
    if (buf_write(&v->out, v->watch.fd) < 0 && errno != EAGAIN && errno != EINTR)
        leave(v);
    else if (buf_len(&v->out) == 0)
        linger(v);
}

static void answer(struct visitor *v)
{
    v->stage = WRITING;
    loop_modify(loop, &v->watch, EPOLLOUT);
    write_some(v);
}

/* --- inquiries --- */

/* Those who wait share the next. */
static void ask(void)
{
    bool some = false;
    if (numbers_asked())
        return;
    for (int i = 0; i < MOST; i++)
        if (visitors[i].stage == WAITING) {
            visitors[i].stage = ASKED;
            some = true;
        }
    if (some)
        numbers_ask();
}

static void on_told(const struct numbers *n)
{
    for (int i = 0; i < MOST; i++) {
        struct visitor *v = &visitors[i];
        if (v->stage != ASKED)
            continue;
        page_put(&v->out, v->page, v->bodiless, n);
        answer(v);
    }
    ask();
}

/* --- the request --- */

static void take_request(struct visitor *v, const struct http_request *r)
{
    v->page = page_of(r, &v->bodiless, &v->out);
    if (v->page == PAGE_NONE) {
        answer(v);
        return;
    }
    v->stage = WAITING;
    loop_modify(loop, &v->watch, 0);
    ask();
}

static void parse(struct visitor *v)
{
    struct http_request r;
    long n = http_request_parse(buf_head(&v->in), buf_len(&v->in), HEAD_MOST, &r);
    if (n > 0) {
        take_request(v, &r);
    } else if (n < 0) {
        page_refuse(&v->out, (int)-n, r.error);
        answer(v);
    }
}

static void read_some(struct visitor *v)
{
    long n = buf_read(&v->in, v->watch.fd, HEAD_MOST);
    if (n > 0)
        parse(v);
    else if (n == 0 || (errno != EAGAIN && errno != EINTR))
        leave(v);
}

/* Reads what comes after the request, for nobody. */
static void discard(struct visitor *v)
{
    buf_truncate(&v->in, 0);
    long n = buf_read(&v->in, v->watch.fd, HEAD_MOST);
    if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
        leave(v);
}

/* Of those who wait only the end is heard; but one that was read out of its turn may have an event
 * yet to come. */
static void on_visitor(void *arg, uint32_t events)
{
    struct visitor *v = arg;
    bool waits = v->stage == WAITING || v->stage == ASKED;
    if ((events & EPOLLERR) || (waits && (events & EPOLLHUP)))
        leave(v);
    else if (v->stage == READING)
        read_some(v);
    else if (v->stage == WRITING)
        write_some(v);
    else if (v->stage == LINGERING)
        discard(v);
}

/* --- who comes --- */

static bool may_leave(const struct visitor *v)
{
    return v->stage != WAITING && v->stage != ASKED;
}

/* The one that has been there longest and does not wait for numbers; NULL: all do. */
static struct visitor *find_oldest(void)
{
    struct visitor *oldest = NULL;
    for (int i = 0; i < MOST; i++) {
        struct visitor *v = &visitors[i];
        if (v->stage != ABSENT && may_leave(v) && (!oldest || v->number < oldest->number))
            oldest = v;
    }
    return oldest;
}

static struct visitor *find_absent(void)
{
    for (int i = 0; i < MOST; i++)
        if (visitors[i].stage == ABSENT)
            return &visitors[i];
    return NULL;
}

/* A place that is free, or that of the oldest; NULL: all wait for numbers. */
static struct visitor *find_place(void)
{
    struct visitor *v = find_absent();
    while (!v && (v = find_oldest())) {
        if (v->stage == READING)
            read_some(v); /* it may have asked a moment ago */
        if (v->stage != ABSENT && may_leave(v))
            leave(v);
        v = find_absent();
    }
    return v;
}

static void enter(struct visitor *v, int fd)
{
    *v = (struct visitor){.watch = {fd, EPOLLIN, on_visitor, v},
                          .life = {.call = on_late, .arg = v},
                          .stage = READING,
                          .number = ++last};
    present++;
    loop_add(loop, &v->watch);
    loop_timer_set(loop, &v->life, LIFE_MS);
}

static void on_pause_over(void *arg)
{
    (void)arg;
    listen_for_more(true);
}

static void pause_accepting(void)
{
    listen_for_more(false);
    loop_timer_set(loop, &pause_over, PAUSE_MS);
}

static void on_listener(void *arg, uint32_t events)
{
    (void)arg;
    (void)events;
    struct visitor *v = find_place();
    int fd = v ? accept4(listener.fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK) : -1;
    if (fd >= 0) {
        enter(v, fd);
    } else if (!v || process_out_of_descriptors(errno)) {
        repeats_log(LOG_L_WARN, NULL, "admin_listen: %s",
                    v ? strerror(errno) : "too many ask at the same time");
        pause_accepting();
    }
}

void visitors_init(struct loop *the_loop, int fd, int master)
{
    loop = the_loop;
    pause_over.call = on_pause_over;
    listener = (struct loop_watch){fd, EPOLLIN, on_listener, NULL};
    loop_add(loop, &listener);
    numbers_init(loop, master, on_told);
}

void visitors_stop(void)
{
    stopped = true;
    loop_timer_stop(loop, &pause_over);
    loop_remove(loop, &listener);
    close(listener.fd);
    for (int i = 0; i < MOST; i++) {
        if (visitors[i].stage == READING)
            read_some(&visitors[i]); /* it may have asked a moment ago */
        if (visitors[i].stage == READING || visitors[i].stage == LINGERING)
            leave(&visitors[i]);
    }
}

bool visitors_gone(void)
{
    return stopped && present == 0;
}

void visitors_free(void)
{
    for (int i = 0; i < MOST; i++)
        if (visitors[i].stage != ABSENT)
            leave(&visitors[i]);
    numbers_free();
}

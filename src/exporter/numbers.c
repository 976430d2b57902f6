/* Asking master and broker; see numbers.h. */
#include "numbers.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "buf.h"
#include "clock.h"
#include "fdpass.h"
#include "log.h"

enum {
    PATIENCE_MS = 2000,       /* for both together */
    LOST_MS = 5000,           /* after that the master's answer is taken for lost */
    FACTS = 32 * 1024,        /* bytes of the master's answer at most */
    ANSWER_MOST = 256 * 1024, /* of the broker's */
};

static const char question[] = "metrics\n";
static const char last[] = "\nend\n"; /* of the broker's answer */

static struct loop *loop;
static void (*on_told)(const struct numbers *n);
static bool asked;
static int64_t owed_until;               /* clock_ms(): the master's answer is to come, if late */
static struct loop_watch master, broker; /* broker.fd -1: there is no connection */
static struct loop_timer patience;
static struct buf facts, answer;

static void close_broker(void)
{
    if (broker.fd < 0)
        return;
    loop_remove(loop, &broker);
    close(broker.fd);
    broker.fd = -1;
}

/* Takes the first line off the text; false if there is none. */
static bool take_line(struct text *t, char *line, size_t size)
{
    const char *end = t->p ? memchr(t->p, '\n', t->n) : NULL;
    if (!end)
        return false;
    snprintf(line, size, "%.*s", (int)(end - t->p), t->p);
    t->n -= (size_t)(end + 1 - t->p);
    t->p = end + 1;
    return true;
}

static bool is_whole(const struct buf *b)
{
    size_t n = buf_len(b), tail = sizeof(last) - 1;
    return n > tail && memcmp(buf_head(b) + n - tail, last, tail) == 0;
}

static void read_answers(struct numbers *n)
{
    char line[32];
    *n = (struct numbers){.masters = buf_text(&facts), .brokers = {NULL, 0}};
    n->master = take_line(&n->masters, n->phase, sizeof(n->phase));
    if (!is_whole(&answer))
        return;
    n->brokers = buf_text(&answer);
    n->brokers.n -= sizeof(last) - 2; /* all but the line break before it */
    n->broker = take_line(&n->brokers, line, sizeof(line));
    n->database = n->broker && strcmp(line, "database up") == 0;
}

static void finish(void)
{
    struct numbers n;
    loop_timer_stop(loop, &patience);
    close_broker();
    asked = false;
    read_answers(&n);
    on_told(&n);
}

static void on_late(void *arg)
{
    (void)arg;
    finish();
}

static void on_broker(void *arg, uint32_t events)
{
    (void)arg;
    (void)events;
    long n = buf_read(&answer, broker.fd, ANSWER_MOST);
    if (n < 0 && (errno == EAGAIN || errno == EINTR))
        return;
    if (n <= 0 || buf_len(&answer) > ANSWER_MOST)
        finish();
}

static void ask_broker(int fd)
{
    broker = (struct loop_watch){fd, EPOLLIN, on_broker, NULL};
    loop_add(loop, &broker);
    /* Into an empty queue of the kernel; if nobody is at its other end, that is seen there. */
    if (send(fd, question, sizeof(question) - 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        log_debug("asking the broker: %s", strerror(errno));
}

static void on_master(void *arg, uint32_t events)
{
    (void)arg;
    size_t n = FACTS;
    char *room = (char *)buf_reserve(&facts, n);
    int fd = fdpass_receive_with(master.fd, room, &n);
    if (fd < 0 && (events & (EPOLLHUP | EPOLLERR)))
        loop_remove(loop, &master); /* it is gone, and so is the server */
    if (fd < 0)
        return;
    owed_until = 0;
    if (!asked || broker.fd >= 0) {
        close(fd); /* what an earlier exporter asked for, or comes too late */
        return;
    }
    buf_commit(&facts, n);
    ask_broker(fd);
}

void numbers_init(struct loop *the_loop, int fd, void (*told)(const struct numbers *n))
{
    loop = the_loop;
    on_told = told;
    patience.call = on_late;
    broker.fd = -1;
    master = (struct loop_watch){fd, EPOLLIN, on_master, NULL};
    loop_add(loop, &master);
}

bool numbers_asked(void)
{
    return asked;
}

/* A master that hangs finds few questions when it goes on; but none is waited for in vain. */
static void ask_master(void)
{
    if (clock_ms() < owed_until)
        return;
    if (send(master.fd, "?", 1, MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
        log_warn("asking the master: %s", strerror(errno));
    else
        owed_until = clock_ms() + LOST_MS;
}

void numbers_ask(void)
{
    asked = true;
    buf_truncate(&facts, 0);
    buf_truncate(&answer, 0);
    loop_timer_set(loop, &patience, PATIENCE_MS);
    ask_master();
}

void numbers_free(void)
{
    close_broker();
    buf_free(&facts);
    buf_free(&answer);
}

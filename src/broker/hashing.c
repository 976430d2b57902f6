/* Requests to the auth workers; see hashing.h. */
#include "hashing.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker.h"
#include "clock.h"
#include "log.h"
#include "random.h"

enum { GIVE_UP_MS = 10000, LOOK_MS = 500, REPLY_MAX = 2048 };

struct job {
    struct job *next;
    uint32_t seq;
    int64_t sent; /* clock_ms() */
    struct buf packet;
    hashing_done *done;
    void *arg;
};

static struct loop_watch watch;
static struct loop_timer look;
static uint32_t last_seq;
static struct job *waiting_first, **waiting_last = &waiting_first;
static long long waiting, out;
static struct job *out_first; /* requests that the workers have */

static void finish(struct job *job, bool done, struct ipc_text hash, bool right)
{
    job->done(job->arg, done, hash, right);
    buf_wipe(&job->packet);
    free(job);
}

static void give_up(struct job *job)
{
    finish(job, false, (struct ipc_text){"", 0}, false);
}

static bool send_job(struct job *job)
{
    ssize_t n =
        send(watch.fd, buf_head(&job->packet), buf_len(&job->packet), MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0)
        log_error("sending to the auth workers: %s", strerror(errno));
    buf_wipe(&job->packet);
    return n >= 0;
}

static void send_next(void)
{
    while (waiting_first && out < broker.conf.auth_workers) {
        struct job *job = waiting_first;
        waiting_first = job->next;
        if (!waiting_first)
            waiting_last = &waiting_first;
        waiting--;
        if (!send_job(job)) {
            give_up(job);
            continue;
        }
        job->sent = clock_ms();
        job->next = out_first;
        out_first = job;
        out++;
        if (!look.armed)
            loop_timer_set(broker.loop, &look, LOOK_MS);
    }
}

/* Takes the request with this number, or the first one sent before a time, out of those that are
 * out; NULL if there is none. */
static struct job *take_out(uint32_t seq, int64_t sent_before)
{
    for (struct job **at = &out_first; *at; at = &(*at)->next) {
        struct job *job = *at;
        if (job->seq != seq && job->sent >= sent_before)
            continue;
        *at = job->next;
        out--;
        return job;
    }
    return NULL;
}

static void on_look(void *arg)
{
    (void)arg;
    struct job *job;
    while ((job = take_out(0, clock_ms() - GIVE_UP_MS))) {
        log_warn("an auth worker did not answer");
        give_up(job);
    }
    send_next();
    if (out > 0)
        loop_timer_set(broker.loop, &look, LOOK_MS);
}

static void on_reply(const uint8_t *packet, size_t n)
{
    struct ipc_message m;
    if (ipc_take(packet, n, IPC_BY_AUTH, &m) != (long)n) {
        log_error("a reply that no auth worker may send");
        return;
    }
    struct job *job = m.seq ? take_out(m.seq, INT64_MIN) : NULL;
    if (!job)
        return; /* it was given up, or asked by the broker before this one */
    struct ipc_reader r = ipc_read(&m);
    struct ipc_text hash = {"", 0};
    bool right = false;
    if (m.type == IPC_HASHED)
        hash = ipc_get_text(&r, IPC_MAX_NAME);
    else
        right = ipc_get_u8(&r) == 1;
    finish(job, ipc_read_end(&r), hash, right);
    send_next();
}

static void on_socket(void *arg, uint32_t events)
{
    (void)arg;
    (void)events;
    uint8_t packet[REPLY_MAX];
    ssize_t n;
    while ((n = recv(watch.fd, packet, sizeof(packet), MSG_DONTWAIT)) > 0)
        on_reply(packet, (size_t)n);
    explicit_bzero(packet, sizeof(packet));
}

/* The message with this many texts. */
static void add(enum ipc_type type, const struct ipc_text *texts, int count, hashing_done *done,
                void *arg)
{
    struct job *job = xcalloc(1, sizeof(*job));
    if (++last_seq == 0)
        last_seq = 1;
    *job = (struct job){.seq = last_seq, .done = done, .arg = arg};
    size_t size = 0;
    for (int i = 0; i < count; i++)
        size += sizeof(uint32_t) + texts[i].n;
    if (waiting >= broker.conf.auth_queue || size > ipc_rule(type)->max) {
        give_up(job);
        return;
    }
    size_t begin = ipc_begin(&job->packet, type, job->seq);
    for (int i = 0; i < count; i++)
        ipc_put_text(&job->packet, texts[i].p, texts[i].n);
    ipc_end(&job->packet, begin);
    *waiting_last = job;
    waiting_last = &job->next;
    waiting++;
    send_next();
}

void hashing_hash(struct ipc_text password, hashing_done *done, void *arg)
{
    add(IPC_HASH, &password, 1, done, arg);
}

void hashing_verify(struct ipc_text password, struct ipc_text hash, hashing_done *done, void *arg)
{
    struct ipc_text texts[] = {password, hash};
    add(IPC_VERIFY, texts, 2, done, arg);
}

void hashing_init(int fd)
{
    /* Replies to the broker before this one may still be in the socket: start at a random number.
     */
    last_seq = (uint32_t)random_u64();
    watch = (struct loop_watch){fd, EPOLLIN, on_socket, NULL};
    look.call = on_look;
    loop_add(broker.loop, &watch);
}

void hashing_free(void)
{
    struct job *job;
    while ((job = take_out(0, INT64_MAX)))
        give_up(job);
    while ((job = waiting_first)) {
        waiting_first = job->next;
        give_up(job);
    }
}

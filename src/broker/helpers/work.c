/* Requests to helpers; see work.h. */
#include "work.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include "broker.h"
#include "clock.h"
#include "log.h"
#include "random.h"

enum { LOOK_MS = 500, REPLY_MAX = 2048 };

struct work_job {
    struct waiter waiter;
    STAILQ_ENTRY(work_job) next; /* among those that are out */
    uint32_t seq;
    int64_t until; /* clock_ms() */
    struct buf packet;
    work_done *done;
    void *arg;
};

static void finish(struct work_job *job, const struct ipc_message *answer)
{
    job->done(job->arg, answer);
    buf_wipe(&job->packet);
    free(job);
}

static struct work_job *take_waiting(struct work *w)
{
    return (struct work_job *)waitlist_take(&w->waiting);
}

static bool job_is_wanted(const struct work *w, const struct work_job *job)
{
    return !w->wanted || w->wanted(job->arg);
}

/* Drops the waiting requests that nobody waits for any more. */
static void drop_unwanted(struct work *w)
{
    struct work_queue unwanted = STAILQ_HEAD_INITIALIZER(unwanted);
    struct waiter *next, *waiter = waitlist_oldest(&w->waiting);
    for (; waiter; waiter = next) {
        struct work_job *job = (struct work_job *)waiter;
        next = waitlist_after(waiter);
        if (!job_is_wanted(w, job)) {
            waitlist_remove(&w->waiting, waiter);
            STAILQ_INSERT_TAIL(&unwanted, job, next);
        }
    }
    while (!STAILQ_EMPTY(&unwanted)) {
        struct work_job *job = STAILQ_FIRST(&unwanted);
        STAILQ_REMOVE_HEAD(&unwanted, next);
        finish(job, NULL);
    }
}

static bool send_job(struct work *w, struct work_job *job)
{
    ssize_t n = send(w->watch.fd, buf_head(&job->packet), buf_len(&job->packet),
                     MSG_NOSIGNAL | MSG_DONTWAIT);
    if (n < 0)
        log_error("sending to %s: %s", w->who, strerror(errno));
    buf_wipe(&job->packet);
    return n >= 0;
}

static void send_next(struct work *w)
{
    struct work_job *job;
    while (w->out_count < w->at_once && (job = take_waiting(w))) {
        if (!job_is_wanted(w, job) || !send_job(w, job)) {
            finish(job, NULL);
            continue;
        }
        int64_t now = clock_ms(), since = job->until - w->patience;
        histogram_add(&w->waits, (uint64_t)(now - since) * 1000, 1);
        job->until = now + w->patience;
        STAILQ_INSERT_TAIL(&w->out, job, next);
        w->out_count++;
    }
    if (w->out_count > 0 && !w->late_look.armed)
        loop_timer_set(broker.loop, &w->late_look, LOOK_MS);
}

/* Removes from the outstanding requests the one with this number, or one that is overdue now; NULL
 * if there is none. */
static struct work_job *take_out(struct work *w, uint32_t seq, int64_t now)
{
    struct work_job *job;
    STAILQ_FOREACH (job, &w->out, next)
        if (job->seq == seq || job->until <= now)
            break;
    if (job) {
        STAILQ_REMOVE(&w->out, job, work_job, next);
        w->out_count--;
    }
    return job;
}

static void on_late_look(void *arg)
{
    struct work *w = arg;
    struct work_job *job;
    int64_t now = clock_ms();
    while ((job = take_out(w, 0, now))) {
        log_warn("%s did not answer", w->who);
        finish(job, NULL);
    }
    while ((job = (struct work_job *)waitlist_oldest(&w->waiting)) && job->until <= now) {
        waitlist_remove(&w->waiting, &job->waiter);
        finish(job, NULL);
    }
    send_next(w);
}

static void on_reply(struct work *w, const uint8_t *packet, size_t n)
{
    struct ipc_message m;
    if (ipc_take(packet, n, w->role, &m) != (long)n) {
        log_error("a reply that %s may not send", w->who);
        return;
    }
    struct work_job *job = m.seq ? take_out(w, m.seq, INT64_MIN) : NULL;
    if (!job)
        return; /* given up, or asked by an earlier broker */
    finish(job, &m);
    send_next(w);
}

static void on_socket(void *arg, uint32_t events)
{
    (void)events;
    struct work *w = arg;
    uint8_t packet[REPLY_MAX];
    ssize_t n;
    while ((n = recv(w->watch.fd, packet, sizeof(packet), MSG_DONTWAIT)) > 0)
        on_reply(w, packet, (size_t)n);
    explicit_bzero(packet, sizeof(packet));
}

uint32_t work_seq(struct work *w)
{
    if (++w->last_seq == 0)
        w->last_seq = 1;
    return w->last_seq;
}

void work_ask(struct work *w, struct work_turn turn, struct buf *packet, uint32_t seq,
              work_done *done, void *arg)
{
    struct work_job *job = xcalloc(1, sizeof(*job));
    *job = (struct work_job){.waiter = {.key = turn.key, .urgent = turn.urgent},
                             .seq = seq,
                             .until = clock_ms() + w->patience,
                             .packet = *packet,
                             .done = done,
                             .arg = arg};
    *packet = (struct buf)BUF_INIT;
    if (waitlist_is_full(&w->waiting, &job->waiter))
        drop_unwanted(w);
    struct work_job *out = (struct work_job *)waitlist_add(&w->waiting, &job->waiter);
    if (out)
        finish(out, NULL);
    send_next(w);
    log_debug("%zu wait for %s", waitlist_count(&w->waiting), w->who);
}

size_t work_waiting(const struct work *w)
{
    return waitlist_count(&w->waiting);
}

void work_init(struct work *w, int fd)
{
    w->waits = (struct histogram)HISTOGRAM(histogram_times, HISTOGRAM_SECOND);
    /* Replies to an earlier broker may still be in the socket: start at a random number. */
    w->last_seq = (uint32_t)random_u64();
    waitlist_init(&w->waiting, (size_t)w->most);
    STAILQ_INIT(&w->out);
    w->watch = (struct loop_watch){fd, EPOLLIN, on_socket, w};
    w->late_look.call = on_late_look;
    w->late_look.arg = w;
    loop_add(broker.loop, &w->watch);
}

void work_free(struct work *w)
{
    struct work_job *job;
    while ((job = take_out(w, 0, INT64_MAX)) || (job = take_waiting(w)))
        finish(job, NULL);
    waitlist_free(&w->waiting);
}

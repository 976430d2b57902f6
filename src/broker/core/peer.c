/* The broker's side of the sessions' channels; see peer.h. */
#include "peer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker.h"
#include "clock.h"
#include "log.h"
#include "map.h"
#include "process.h"
#include "repeats.h"
#include "tally.h"

enum {
    CHANNELS_EACH = 4, /* per process: one in use, and some just left */
    LATE_LOOKS = 4,    /* for late messages, within request_timeout */
    PAUSE_MS = 100,    /* without accepting, when out of descriptors */
    /* The largest session_queue, a page of the largest changes and the largest answer fit; more is
     * our own mistake. */
    QUEUE_HARD = 128 * 1024 * 1024,
};

static const struct peers_owner *owner_of_peers;
static struct map peers;
static struct peer *ended;                                        /* since the last peers_reap() */
static struct tally channels;                                     /* by pid */
static uint64_t served[IPC_TYPE_COUNT], refused[IPC_ERROR_COUNT]; /* in all */
static uint64_t last_id;
static struct loop_watch listener;
static struct loop_timer accept_pause; /* of the listener, when out of descriptors */
static struct loop_timer late_look;

struct peer *peer_find(uint64_t id)
{
    struct peer *p = map_get(&peers, id);
    return p && !p->closing ? p : NULL;
}

struct peer *peer_next(size_t *at)
{
    struct peer *p;
    while ((p = map_next(&peers, at)) && p->closing)
        ;
    return p;
}

size_t peer_count(void)
{
    return peers.count;
}

/* NULL until it has said hello. */
static const struct netaddr *client_of(const struct peer *p)
{
    return p->state == IPC_IS_SILENT ? NULL : &p->client;
}

struct log_session peer_session(const struct peer *p)
{
    return (struct log_session){.pid = p->state == IPC_IS_SILENT ? 0 : p->pid,
                                .mark = IPC_MARK_OF(p->origin),
                                .user = p->name};
}

void peer_end(struct peer *p, const char *why)
{
    if (p->closing)
        return;
    const struct log_session session = peer_session(p);
    if (why)
        repeats_about(&session, LOG_L_WARN, client_of(p), "session %d ended: %s", p->pid, why);
    p->closing = true;
    p->next_ended = ended;
    ended = p;
    owner_of_peers->ended(p);
    loop_remove(broker.loop, &p->watch);
    ipc_channel_close(&p->channel);
}

void peers_reap(void)
{
    while (ended) {
        struct peer *p = ended;
        ended = p->next_ended;
        map_remove(&peers, p->id);
        tally_drop(&channels, (uint64_t)p->pid);
        ipc_channel_close(&p->channel); /* something may have been queued since it ended */
        free(p);
    }
}

static void want(struct peer *p)
{
    /* Stop reading from a peer that does not drain its replies: they cannot pile up. */
    bool full = ipc_channel_queued(&p->channel) > broker.conf.session_queue;
    uint32_t events = full || p->paused ? 0 : EPOLLIN;
    if (ipc_channel_queued(&p->channel) > 0 || p->wants_drained)
        events |= EPOLLOUT;
    loop_modify(broker.loop, &p->watch, events);
}

void peer_flush(struct peer *p)
{
    if (p->closing)
        return;
    if (ipc_channel_flush(&p->channel) < 0)
        peer_end(p, NULL);
    else if (ipc_channel_queued(&p->channel) > QUEUE_HARD)
        peer_end(p, "does not read its answers");
    else
        want(p);
}

void peer_pause(struct peer *p)
{
    p->paused = true;
    want(p);
}

/* The main loop serves what was read of it already, as when its queue is written. */
void peer_resume(struct peer *p)
{
    p->paused = false;
    p->wants_drained = true;
    want(p);
}

/* Each thing that a client sends leads to a few messages at most; on top come those that are sent
 * again after a broker's end. */
static bool within_rate(struct peer *p)
{
    enum { EACH = 4, AGAIN = 2 * IPC_MAX_SENDS };
    int64_t most = broker.conf.frame_rate;
    struct bucket_rate rate = {most ? EACH * most + AGAIN : 0, 1000};
    return bucket_take(&p->messages, rate, clock_ms(), 1);
}

/* Checks the message against its row for this peer; returns what is wrong, or NULL. */
static const char *breaks_rule(struct peer *p, const struct ipc_message *m)
{
    const struct ipc_rule *rule = ipc_rule(m->type);
    if (!(rule->when & p->state))
        return "a message that its state does not allow";
    if (rule->waiting && p->waiting[m->type] >= rule->waiting)
        return "too many unanswered requests";
    if (m->seq == 0)
        return "a request without a number";
    if (!within_rate(p))
        return "more messages than frame_rate allows";
    return NULL;
}

/* True if the peer reads its answers fast enough to get more. */
static bool has_room(struct peer *p)
{
    if (ipc_channel_queued(&p->channel) > broker.conf.session_queue)
        peer_flush(p);
    p->wants_drained =
        p->wants_drained || ipc_channel_queued(&p->channel) > broker.conf.session_queue;
    return !p->closing && ipc_channel_queued(&p->channel) <= broker.conf.session_queue;
}

static void serve_peer(struct peer *p)
{
    struct ipc_message m;
    int got = -1;
    while (!p->closing && !p->paused && has_room(p) &&
           (got = ipc_channel_next(&p->channel, &m)) != 0) {
        p->due_since = 0;
        const char *wrong = got < 0 ? "a message that is none of a session's" : breaks_rule(p, &m);
        if (!wrong) {
            if (ipc_rule(m.type)->waiting)
                p->waiting[m.type]++;
            served[m.type]++;
            wrong = owner_of_peers->serve(p, &m);
        }
        if (wrong)
            peer_end(p, wrong);
    }
    if (!p->closing && got == 0 && buf_len(&p->channel.in) > 0 && !p->due_since)
        p->due_since = clock_ms();
}

/* Ends peers whose message is overdue. */
static void on_late_look(void *arg)
{
    (void)arg;
    int64_t now = clock_ms();
    struct peer *p;
    for (size_t at = 0; (p = peer_next(&at));) {
        if (!p->due_since)
            continue;
        if (ipc_channel_queued(&p->channel) > broker.conf.session_queue)
            p->due_since = now; /* the rest may have arrived, but we are not reading */
        else if (now - p->due_since >= broker.conf.request_timeout)
            peer_end(p, p->state == IPC_IS_SILENT ? "it did not say hello" : "half a message");
    }
    loop_timer_set(broker.loop, &late_look, broker.conf.request_timeout / LATE_LOOKS + 1);
}

/* The queue is written: serve what waited for that. */
static void on_drained(struct peer *p)
{
    p->wants_drained = false;
    owner_of_peers->drained(p);
    serve_peer(p);
}

static void on_channel(void *arg, uint32_t events)
{
    struct peer *p = arg;
    if (events & EPOLLOUT) {
        peer_flush(p);
        if (!p->closing && ipc_channel_queued(&p->channel) == 0)
            on_drained(p);
    }
    if (!p->closing && (events & (EPOLLIN | EPOLLHUP | EPOLLERR))) {
        if (ipc_channel_fill(&p->channel) < 0)
            peer_end(p, NULL);
        else
            serve_peer(p);
    }
    peer_flush(p);
}

static void add_peer(int fd)
{
    struct ucred cred = {0};
    socklen_t size = sizeof(cred);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0 ||
        !tally_add(&channels, (uint64_t)cred.pid, CHANNELS_EACH)) {
        repeats_log(LOG_L_WARN, NULL, "session %d has too many channels", cred.pid);
        close(fd);
        return;
    }
    struct peer *p = xcalloc(1, sizeof(*p));
    ipc_channel_init(&p->channel, fd, IPC_BY_SESSION);
    p->id = ++last_id;
    p->pid = cred.pid;
    p->state = IPC_IS_SILENT;
    p->since = p->due_since = clock_ms();
    p->watch = (struct loop_watch){fd, EPOLLIN, on_channel, p};
    map_put(&peers, p->id, p);
    loop_add(broker.loop, &p->watch);
}

static void on_pause_over(void *arg)
{
    (void)arg;
    loop_modify(broker.loop, &listener, EPOLLIN);
}

static void on_accept(void *arg, uint32_t events)
{
    (void)arg;
    (void)events;
    for (int i = 0; i < 64; i++) {
        int fd = accept4(listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd >= 0) {
            add_peer(fd);
            continue;
        }
        if (process_out_of_descriptors(errno)) {
            log_error("accepting a session: %s", strerror(errno));
            loop_modify(broker.loop, &listener, 0);
            loop_timer_set(broker.loop, &accept_pause, PAUSE_MS);
        }
        return;
    }
}

void peers_init(int fd, const struct peers_owner *hears)
{
    owner_of_peers = hears;
    listener = (struct loop_watch){fd, EPOLLIN, on_accept, NULL};
    accept_pause.call = on_pause_over;
    late_look.call = on_late_look;
    loop_add(broker.loop, &listener);
    on_late_look(NULL);
}

void peers_stop(void)
{
    loop_timer_stop(broker.loop, &accept_pause);
    loop_timer_stop(broker.loop, &late_look);
    loop_remove(broker.loop, &listener);
    close(listener.fd);
}

void peers_free(void)
{
    struct peer *p;
    for (size_t at = 0; (p = peer_next(&at));)
        peer_end(p, NULL);
    peers_reap();
    map_free(&peers);
    tally_free(&channels);
}

struct asker asker_of(const struct peer *p, const struct ipc_message *m)
{
    return (struct asker){p->id, m->type, m->seq};
}

struct asker *asker_new(const struct peer *p, const struct ipc_message *m)
{
    struct asker *a = xcalloc(1, sizeof(*a));
    *a = asker_of(p, m);
    return a;
}

struct peer *peer_answering(struct asker a)
{
    struct peer *p = peer_find(a.peer);
    if (p)
        p->waiting[a.type]--;
    return p;
}

void peer_refusing(enum ipc_error error)
{
    refused[error]++;
}

uint64_t peers_served(enum ipc_type type)
{
    return served[type];
}

uint64_t peers_refused(enum ipc_error error)
{
    return refused[error];
}

void peer_fail(struct asker a, enum ipc_error error)
{
    struct peer *p = peer_answering(a);
    if (!p)
        return;
    peer_refusing(error);
    size_t begin = ipc_begin(&p->channel.out, IPC_FAILED, a.seq);
    ipc_put_u32(&p->channel.out, error);
    ipc_end(&p->channel.out, begin);
    peer_flush(p);
}

static void reply(struct asker a, int status, const char *json, size_t n, uint64_t next)
{
    if (n > IPC_MAX_REPLY) {
        log_error("an answer of %zu bytes to %s is too large", n, ipc_rule(a.type)->name);
        peer_fail(a, IPC_E_INTERNAL);
        return;
    }
    struct peer *p = peer_answering(a);
    if (!p)
        return;
    size_t begin = ipc_begin(&p->channel.out, IPC_REPLY, a.seq);
    ipc_put_u32(&p->channel.out, (uint32_t)status);
    ipc_put_u64(&p->channel.out, next);
    ipc_put_text(&p->channel.out, json, n);
    ipc_end(&p->channel.out, begin);
    peer_flush(p);
}

void asker_fail(struct asker *a, enum ipc_error error)
{
    peer_fail(*a, error);
    free(a);
}

void peer_reply(struct asker a, int status, const char *json, size_t n)
{
    reply(a, status, json, n, IPC_NO_BOUND);
}

void peer_reply_page(struct asker a, const char *json, size_t n, uint64_t next)
{
    reply(a, 200, json, n, next);
}

/* The broker's side of the sessions' channels; see peer.h. */
#include "peer.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "broker.h"
#include "feed.h"
#include "log.h"
#include "map.h"
#include "requests.h"

/* A channel whose replies nobody reads is ended rather than kept in memory; what is delivered has
 * the much smaller bound session_queue, and can be read again. */
enum { QUEUE_HARD = IPC_MAX_REPLY + 4 * 1024 * 1024 };

static struct map peers;
static struct peer *ended; /* since the last peers_reap() */
static uint64_t last_id;
static struct loop_watch listener;

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

void peer_end(struct peer *p, const char *why)
{
    if (p->closing)
        return;
    if (why)
        log_warn("session %d ended: %s", p->pid, why);
    p->closing = true;
    p->next_ended = ended;
    ended = p;
    feed_detach(p);
    loop_remove(broker.loop, &p->watch);
    ipc_channel_close(&p->channel);
}

void peers_reap(void)
{
    while (ended) {
        struct peer *p = ended;
        ended = p->next_ended;
        map_remove(&peers, p->id);
        buf_wipe(&p->held);
        free(p);
    }
}

static void want(struct peer *p)
{
    uint32_t events = EPOLLIN;
    if (ipc_channel_queued(&p->channel) > 0)
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

/* Checks the message against its row for this peer; returns what is wrong, or NULL. */
static const char *refuse(struct peer *p, const struct ipc_message *m)
{
    const struct ipc_rule *rule = ipc_rule(m->type);
    if (!(rule->when & p->state))
        return "a message that its state does not allow";
    if (p->waiting[m->type] >= rule->waiting)
        return "too many unanswered requests";
    if (m->seq == 0)
        return "a request without a number";
    return NULL;
}

static void serve(struct peer *p)
{
    struct ipc_message m;
    int got;
    while (!p->closing && (got = ipc_channel_next(&p->channel, &m)) != 0) {
        const char *wrong = got < 0 ? "a message that is none of a session's" : refuse(p, &m);
        if (!wrong) {
            p->waiting[m.type]++;
            wrong = request_serve(p, &m);
        }
        if (wrong)
            peer_end(p, wrong);
    }
}

static void on_channel(void *arg, uint32_t events)
{
    struct peer *p = arg;
    if (events & EPOLLOUT) {
        peer_flush(p);
        if (!p->closing)
            feed_drained(p);
    }
    if (!p->closing && (events & (EPOLLIN | EPOLLHUP | EPOLLERR))) {
        if (ipc_channel_fill(&p->channel) < 0)
            peer_end(p, NULL);
        else
            serve(p);
        peer_flush(p);
    }
}

static void add(int fd)
{
    struct peer *p = xcalloc(1, sizeof(*p));
    struct ucred cred = {0};
    socklen_t size = sizeof(cred);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &cred, &size) < 0)
        log_warn("SO_PEERCRED: %s", strerror(errno));
    ipc_channel_init(&p->channel, fd, IPC_BY_SESSION);
    p->id = ++last_id;
    p->pid = cred.pid;
    p->state = IPC_IS_NEW;
    p->watch = (struct loop_watch){fd, EPOLLIN, on_channel, p};
    map_put(&peers, p->id, p);
    loop_add(broker.loop, &p->watch);
}

static void on_accept(void *arg, uint32_t events)
{
    (void)arg;
    (void)events;
    for (int i = 0; i < 64; i++) {
        int fd = accept4(listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0) {
            if (errno != EAGAIN && errno != EINTR && errno != ECONNABORTED)
                log_error("accepting a session: %s", strerror(errno));
            return;
        }
        add(fd);
    }
}

void peers_init(int fd)
{
    listener = (struct loop_watch){fd, EPOLLIN, on_accept, NULL};
    loop_add(broker.loop, &listener);
}

void peers_stop(void)
{
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
}

struct peer *peer_answering(uint64_t id, enum ipc_type asked)
{
    struct peer *p = peer_find(id);
    if (p)
        p->waiting[asked]--;
    return p;
}

void peer_fail(uint64_t id, enum ipc_type asked, uint32_t seq, enum ipc_error error)
{
    struct peer *p = peer_answering(id, asked);
    if (!p)
        return;
    size_t begin = ipc_begin(&p->channel.out, IPC_FAILED, seq);
    ipc_put_u32(&p->channel.out, error);
    ipc_end(&p->channel.out, begin);
    peer_flush(p);
}

void peer_reply(uint64_t id, enum ipc_type asked, uint32_t seq, int status, const char *json,
                size_t n)
{
    struct peer *p = peer_answering(id, asked);
    if (!p)
        return;
    size_t begin = ipc_begin(&p->channel.out, IPC_REPLY, seq);
    ipc_put_u32(&p->channel.out, (uint32_t)status);
    ipc_put_text(&p->channel.out, json, n);
    ipc_end(&p->channel.out, begin);
    peer_flush(p);
}

/* Operators; see control.h. */
#include "control.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "broker.h"
#include "clock.h"
#include "commits.h"
#include "deliveries.h"
#include "fdpass.h"
#include "link.h"
#include "log.h"
#include "metrics.h"
#include "peer.h"
#include "position.h"
#include "role.h"
#include "sends.h"

enum {
    MOST = 4,                /* at one time */
    LIFE_MS = 20000,         /* of each, from the first byte to the last */
    REQUEST = 128,           /* bytes of a request */
    FACTS = 512,             /* of what the master says */
    SLICE = 256,             /* sessions in a round of the loop */
    SLICE_BYTES = 16 * 1024, /* no more of them while so much is not written yet */
};

struct operator
{
    struct loop_watch watch; /* fd -1: this one is free */
    struct loop_timer life;
    char facts[FACTS];
    char request[REQUEST];
    size_t asked;  /* bytes of it that are there */
    bool answered; /* what is left is to write out, and to list the sessions */
    bool ended;    /* the last line is in out */
    struct buf out;
    uint64_t *sessions; /* ids of peers to be listed; owned */
    size_t count, listed;
};

static struct operator operators[MOST + 1]; /* the last place is the exporter's */
static struct loop_watch master;
static int64_t started;

static void drop(struct operator* o)
{
    if (o->watch.fd < 0)
        return;
    loop_remove(broker.loop, &o->watch);
    loop_timer_stop(broker.loop, &o->life);
    close(o->watch.fd);
    o->watch.fd = -1;
    buf_free(&o->out);
    free(o->sessions);
    o->sessions = NULL;
    o->count = o->listed = 0;
}

static void on_late(void *arg)
{
    log_warn("control socket: an operator has taken too long");
    drop(arg);
}

/* --- status --- */

static const char *state_of(const struct peer *p)
{
    return p->state == IPC_IS_ATTACHED ? "online" : p->state == IPC_IS_BOUND ? "requests" : "new";
}

static void put_database(struct buf *out)
{
    buf_printf(out, "database %s\n", link_is_up() ? "up" : "away");
}

static void put_status(struct operator* o)
{
    struct metrics_peers peers = metrics_count_peers();
    buf_puts(&o->out, o->facts);
    buf_printf(&o->out, "broker %d\nage %lld\nonline %llu\nrequests %llu\n", (int)getpid(),
               (long long)(clock_ms() - started), (unsigned long long)peers.online,
               (unsigned long long)peers.requests);
    put_database(&o->out);
    buf_printf(&o->out, "host %lld\nbehind %s\n", link_is_up() ? (long long)link_host() : 0,
               position_lags() ? "t" : "f");
    buf_printf(&o->out, "waiting %zu\nstored %llu\ndelivered %llu\n", sends_waiting(),
               (unsigned long long)commits_count(), (unsigned long long)deliveries_count());
}

/* --- metrics --- */

static void put_metrics(struct operator* o)
{
    put_database(&o->out);
    metrics_put(&o->out);
}

/* --- who --- */

/* Which sessions there are is noted at once; they are described later, those that are left. */
static void note_sessions(struct operator* o)
{
    const struct peer *p;
    o->sessions = xcalloc(peer_count() + 1, sizeof(*o->sessions));
    for (size_t at = 0; (p = peer_next(&at));)
        o->sessions[o->count++] = p->id;
}

static void put_session(struct buf *out, const struct peer *p)
{
    char address[NETADDR_TEXT] = "-";
    if (p->state != IPC_IS_SILENT)
        netaddr_format(&p->client, address);
    buf_printf(out, "session %d %lld %s %s %s %lld %zu\n", p->pid, (long long)p->user,
               *p->name ? p->name : "-", state_of(p), address, (long long)(clock_ms() - p->since),
               ipc_channel_queued(&p->channel));
}

/* Puts the next part of the answer once the last one is written. */
static void put_slice(struct operator* o)
{
    if (o->ended || buf_len(&o->out) > SLICE_BYTES)
        return;
    for (size_t i = 0; i < SLICE && o->listed < o->count; i++) {
        const struct peer *p = peer_find(o->sessions[o->listed++]);
        if (p)
            put_session(&o->out, p);
    }
    o->ended = o->listed == o->count;
    if (o->ended)
        buf_puts(&o->out, "end\n");
}

/* --- kick --- */

static void kick(struct operator* o, struct peer *p)
{
    ipc_end(&p->channel.out, ipc_begin(&p->channel.out, IPC_KICK, 0));
    const struct log_session session = peer_session(p);
    log_about(&session, LOG_L_INFO, "session %d of %s is closed by an operator", p->pid,
              *p->name ? p->name : "-");
    buf_printf(&o->out, "kicked %d\n", p->pid);
    peer_flush(p);
}

static void kick_all(struct operator* o, const char *name, int pid)
{
    struct peer *p;
    for (size_t at = 0; (p = peer_next(&at));)
        if (p->state == IPC_IS_ATTACHED && (name ? strcasecmp(p->name, name) == 0 : p->pid == pid))
            kick(o, p);
}

/* --- the request --- */

/* Whoever has taken over the exporter, which speaks with strangers, gains nothing by it. */
static bool may_ask(const struct operator* o)
{
    return o != &operators[MOST] || strcmp(o->request, "metrics") == 0;
}

static void answer(struct operator* o)
{
    char name[REQUEST], end;
    int pid;
    if (!may_ask(o))
        buf_puts(&o->out, "error the exporter may ask for metrics alone\n");
    else if (strcmp(o->request, "status") == 0)
        put_status(o);
    else if (strcmp(o->request, "metrics") == 0)
        put_metrics(o);
    else if (strcmp(o->request, "who") == 0)
        note_sessions(o);
    else if (sscanf(o->request, "kick user %127s%c", name, &end) == 1)
        kick_all(o, name, 0);
    else if (sscanf(o->request, "kick session %9d%c", &pid, &end) == 1)
        kick_all(o, NULL, pid);
    else
        buf_puts(&o->out, "error this chatd knows no such request\n");
    o->answered = true;
}

/* Returns false when there will be no more of it. */
static bool take_request(struct operator* o)
{
    ssize_t n = read(o->watch.fd, o->request + o->asked, REQUEST - 1 - o->asked);
    if (n < 0)
        return errno == EAGAIN || errno == EINTR;
    o->asked += (size_t)n;
    o->request[o->asked] = 0;
    char *end = memchr(o->request, '\n', o->asked);
    if (!end)
        return n > 0 && o->asked < REQUEST - 1;
    *end = 0;
    if (strlen(o->request) < (size_t)(end - o->request)) /* a NUL byte */
        *o->request = 0;
    answer(o);
    return true;
}

/* Writes what is due of the answer; returns false when that was the last of it, or nobody takes
 * it. */
static bool write_some(struct operator* o)
{
    put_slice(o);
    if (buf_write(&o->out, o->watch.fd) < 0 && errno != EAGAIN && errno != EINTR)
        return false;
    return buf_len(&o->out) > 0 || !o->ended;
}

static void on_operator(void *arg, uint32_t events)
{
    struct operator* o = arg;
    bool more = !(events & EPOLLERR);
    if (more && !o->answered)
        more = take_request(o);
    if (more && o->answered)
        more = write_some(o);
    if (more)
        loop_modify(broker.loop, &o->watch, o->answered ? EPOLLOUT : EPOLLIN);
    else
        drop(o);
}

/* --- from the master --- */

static struct operator* find_free(void)
{
    for (size_t i = 0; i < MOST; i++)
        if (operators[i].watch.fd < 0)
            return &operators[i];
    return NULL;
}

/* It asks for one thing at a time: it has given up what it asked for before. */
static struct operator* make_room_for_exporter(void)
{
    drop(&operators[MOST]);
    return &operators[MOST];
}

/* What was asked is read first: a socket that is closed with something unread resets the other end,
 * which then may not see the answer. */
static void refuse(int fd)
{
    static const char text[] = "error too many operators ask at the same time; try again\nend\n";
    char request[REQUEST];
    if (read(fd, request, sizeof(request)) < 0 && errno != EAGAIN)
        log_debug("control socket: %s", strerror(errno));
    if (write(fd, text, sizeof(text) - 1) < 0)
        log_debug("control socket: %s", strerror(errno));
    close(fd);
}

static void serve(int fd, const char *facts, size_t n)
{
    bool exporter = n == strlen(ROLE_FOR_EXPORTER) && memcmp(facts, ROLE_FOR_EXPORTER, n) == 0;
    struct operator* o = exporter ? make_room_for_exporter() : find_free();
    if (!o) {
        refuse(fd);
        return;
    }
    *o = (struct operator){.watch = {fd, EPOLLIN, on_operator, o},
                           .life = {.call = on_late, .arg = o}};
    memcpy(o->facts, facts, n);
    loop_add(broker.loop, &o->watch);
    loop_timer_set(broker.loop, &o->life, LIFE_MS);
}

static void on_master(void *arg, uint32_t events)
{
    (void)arg;
    char facts[FACTS];
    size_t n = sizeof(facts) - 1;
    int fd = fdpass_receive_with(master.fd, facts, &n);
    if (fd >= 0)
        serve(fd, facts, n);
    else if (events & (EPOLLHUP | EPOLLERR))
        loop_remove(broker.loop, &master);
}

void control_init(int fd)
{
    started = clock_ms();
    for (size_t i = 0; i <= MOST; i++)
        operators[i].watch.fd = -1;
    master = (struct loop_watch){fd, EPOLLIN, on_master, NULL};
    loop_add(broker.loop, &master);
}

void control_free(void)
{
    for (size_t i = 0; i <= MOST; i++)
        drop(&operators[i]);
    loop_remove(broker.loop, &master);
}

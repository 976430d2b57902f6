/*
 * chatd-broker: the one process of a host that knows the database and the keys.
 *
 * Sessions connect to it; it verifies their users, commits what they send, and hands them the
 * changes that concern them. It is an event loop; when told to end, it first writes what it has
 * accepted.
 */
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "accounts.h"
#include "bearer.h"
#include "broker.h"
#include "broker_sandbox.h"
#include "clock.h"
#include "connections.h"
#include "control.h"
#include "deliveries.h"
#include "feed.h"
#include "hashing.h"
#include "limits.h"
#include "log.h"
#include "logins.h"
#include "outbox.h"
#include "peer.h"
#include "pool.h"
#include "process.h"
#include "repeats.h"
#include "requests.h"
#include "role.h"
#include "rows.h"
#include "schedule.h"
#include "signing.h"
#include "trial.h"

enum { FINISH_MS = 3000 };

static bool stopping;
static int64_t stop_at;
static struct loop_timer stop_timer;
static struct loop_watch signals;

/* Wakes the loop so that it looks at stop_at. */
static void on_stop_timer(void *arg)
{
    (void)arg;
}

static void on_signal(void *arg, uint32_t events)
{
    (void)arg;
    (void)events;
    struct signalfd_siginfo info;
    if (read(signals.fd, &info, sizeof(info)) != (ssize_t)sizeof(info) || stopping)
        return;
    stopping = true;
    stop_at = clock_ms() + FINISH_MS;
    stop_timer.call = on_stop_timer;
    loop_timer_set(broker.loop, &stop_timer, FINISH_MS);
    rows_hurry();
}

static void watch_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, ROLE_STOP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signals = (struct loop_watch){signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), EPOLLIN,
                                  on_signal, NULL};
    loop_add(broker.loop, &signals);
}

/* Wakes the loop when counted lines are due in the log. */
static void on_repeats_timer(void *arg)
{
    (void)arg;
}

static void tell_of_repeats(void)
{
    static struct loop_timer timer = {.call = on_repeats_timer};
    int64_t due = repeats_due();
    if (due != CLOCK_NEVER && !timer.armed)
        loop_timer_set(broker.loop, &timer, clock_until(due));
}

static bool finished(void)
{
    return stopping && ((peer_count() == 0 && schedule_is_quiet()) || clock_ms() >= stop_at);
}

static const struct peers_owner sessions = {request_serve, feed_drained, feed_detach};

int main(int argc, char **argv)
{
    bool trial = role_is_trial(argc, argv);
    role_start(&broker.conf, "broker", argc, argv);
    if (trial)
        return trial_run();
    process_need_descriptors((unsigned long)broker.conf.max_clients + 64);
    broker.loop = loop_new();
    watch_signals();
    bearer_init();
    limits_init(&broker.conf, LIMITS_MOST);
    hashing_init(ROLE_FD_AUTH);
    signing_init(ROLE_FD_SIGN);
    broker_sandbox(&broker.conf);
    pool_init();
    schedule_init(ROLE_FD_STATUS);
    peers_init(ROLE_FD_BROKER, &sessions);
    control_init(ROLE_FD_CONTROL);

    while (!finished()) {
        loop_once(broker.loop);
        schedule_turn(); /* first, so that PostgreSQL works while the answers are handed out */
        outbox_flush();
        deliveries_written();
        peers_reap();
        tell_of_repeats();
    }

    control_free();
    peers_stop();
    peers_free();
    schedule_free();
    pool_free();
    hashing_free();
    logins_free();
    accounts_free();
    limits_free();
    connections_free();
    signing_free();
    bearer_free();
    loop_free(broker.loop);
    conf_free(&broker.conf);
    repeats_end();
    return 0;
}

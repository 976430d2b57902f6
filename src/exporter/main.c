/*
 * chatd-exporter: answers Prometheus, and whoever looks whether the server is well, on the address
 * of admin_listen.
 *
 * It parses what anybody sends who can reach that address, and so is confined like a session: it
 * holds no secret, opens no file and no connection, and all that it knows are the numbers that
 * master and broker tell it. At ROLE_STOP it leaves the address at once, and answers whom it has.
 */
#include <signal.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>

#include "clock.h"
#include "exporter_sandbox.h"
#include "log.h"
#include "loop.h"
#include "repeats.h"
#include "role.h"
#include "visitors.h"

enum { FINISH_MS = 2500 }; /* an answer under way takes no longer */

static struct loop *loop;
static struct loop_watch signals;
static struct loop_timer end;
static bool late;

static void on_end(void *arg)
{
    (void)arg;
    late = true;
}

static void on_signal(void *arg, uint32_t events)
{
    (void)arg;
    (void)events;
    loop_remove(loop, &signals);
    visitors_stop();
    loop_timer_set(loop, &end, FINISH_MS);
}

static void watch_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, ROLE_STOP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    signals = (struct loop_watch){signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK), EPOLLIN,
                                  on_signal, NULL};
    end.call = on_end;
    loop_add(loop, &signals);
}

static void on_repeats_timer(void *arg)
{
    (void)arg;
}

/* Wakes the loop when counted lines are due in the log. */
static void tell_of_repeats(void)
{
    static struct loop_timer timer = {.call = on_repeats_timer};
    int64_t due = repeats_due();
    if (due != CLOCK_NEVER && !timer.armed)
        loop_timer_set(loop, &timer, clock_until(due));
}

int main(int argc, char **argv)
{
    struct conf conf;
    role_start(&conf, "exporter", argc, argv);
    loop = loop_new();
    watch_signals();
    visitors_init(loop, ROLE_FD_ADMIN, ROLE_FD_MASTER);
    exporter_sandbox(&conf);
    conf_free(&conf);
    while (!late && !visitors_gone()) {
        loop_once(loop);
        tell_of_repeats();
    }
    visitors_free();
    loop_free(loop);
    repeats_end();
    return 0;
}

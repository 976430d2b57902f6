/* The window's loop; see window.h. */
#include "window.h"

#include <errno.h>
#include <json-c/json.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "calls.h"
#include "clock.h"
#include "desk.h"
#include "fetch.h"
#include "follow.h"
#include "keyboard.h"
#include "log.h"
#include "member.h"
#include "paint.h"
#include "people.h"
#include "posting.h"
#include "program.h"
#include "reader.h"
#include "screen.h"
#include "target.h"

enum { LINGER_MS = 3000 };

/* Signals come when nothing is half drawn. */
static int take_signals(void)
{
    static const int wanted[] = {SIGINT, SIGTERM, SIGHUP, SIGQUIT, SIGTSTP, SIGWINCH};
    sigset_t set;
    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++)
        sigaddset(&set, wanted[i]);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        die("signalfd: %s", strerror(errno));
    return fd;
}

static void act_on_signals(int fd)
{
    struct signalfd_siginfo s;
    while (read(fd, &s, sizeof(s)) == (ssize_t)sizeof(s)) {
        if (s.ssi_signo == SIGWINCH)
            screen_resize();
        else if (s.ssi_signo == SIGTSTP)
            screen_suspend();
        else
            desk_leave();
    }
}

/* Who it is, and whom to open; errors end the program before it has the terminal. */
static void begin(const char *whom)
{
    struct json_object *me = request_object("GET", "/me", NULL);
    people_me = member_id(me, "id");
    people_learn(people_me, member_text(me, "username"));
    json_object_put(me);
    if (!people_me)
        program_fail(CHAT_FAILED, "the server's answer has no id");
    if (!whom)
        return;
    struct target t;
    target_find(&t, whom);
    struct json_object *o = request_object("GET", t.path, NULL);
    struct room *r = reader_room(o, 0);
    if (r)
        desk_open(r);
    json_object_put(o);
    target_free(&t);
}

static int64_t sooner(int64_t a, int64_t b)
{
    return a < b ? a : b;
}

/* Who was writing has stopped. */
static int64_t typing_due(void)
{
    const struct room *r = desk_room();
    return r && r->typing_until > clock_ms() ? r->typing_until : CLOCK_NEVER;
}

/* What has come is taken first, since it says what to ask for. */
static void work(void)
{
    follow_tick();
    if (follow_began())
        fetch_tick(desk_room());
    posting_tick();
    paint();
    desk_tick();
}

static int pause_ms(void)
{
    int64_t fetch = follow_began() ? fetch_due() : CLOCK_NEVER;
    int64_t due = sooner(sooner(follow_due(), fetch), sooner(posting_due(), typing_due()));
    int ms = clock_until(due);
    return ms < 0 || ms > 60000 ? 60000 : ms;
}

/* What was sent just before is on its way. */
static void linger(void)
{
    int64_t until = clock_ms() + LINGER_MS;
    while (posting_waiting() && follow_live() && clock_ms() < until) {
        follow_tick();
        posting_tick();
        calls_wait(-1, -1, clock_until(sooner(until, posting_due())));
    }
}

/* What was not acknowledged is said, since nobody sends it any more. */
static void end(int signals)
{
    size_t waiting = posting_waiting();
    screen_close();
    close(signals);
    calls_free();
    posting_free();
    follow_free();
    room_free_all();
    people_free();
    desk_free();
    if (waiting)
        program_fail(CHAT_AWAY, "%zu of your messages are not acknowledged: they may be lost",
                     waiting);
}

bool window_possible(void)
{
    return screen_possible();
}

void window_run(const char *whom)
{
    begin(whom);
    int signals = take_signals();
    screen_open();
    while (!desk_left()) {
        work();
        calls_wait(STDIN_FILENO, signals, pause_ms());
        act_on_signals(signals);
        keyboard_take();
        if (screen_gone())
            desk_leave();
    }
    linger();
    end(signals);
}

/*
 * Sessions at rest: opened a few at a time, or all at once, which is a storm; then they do nothing
 * but answer pings until standard input ends.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "load.h"

struct idle {
    struct ws ws; /* first: the two have one address */
    double dialled;
};

static struct idle *sessions;
static int wanted, dialled, opened;
static struct histogram opening;
static bool input_ended;

static void dial(void)
{
    struct idle *s = &sessions[dialled];
    s->dialled = net_now();
    dialled++;
    ws_open(&s->ws);
}

static void session_opened(struct ws *w)
{
    histogram_add(&opening, net_now() - ((struct idle *)w)->dialled);
    opened++;
    if (dialled < wanted)
        dial();
}

static void session_text(struct ws *w, const char *text, size_t n)
{
    (void)w;
    (void)n;
    quit("a frame for a session at rest: %s", text);
}

static void input_readable(struct conn *c)
{
    bytes_drop(&c->in, c->in.used);
}

static void input_end(struct conn *c)
{
    (void)c;
    input_ended = true;
}

static void say(const char *mode)
{
    result_begin(mode);
    result_count("sessions", (unsigned long long)opened);
    result_count("pings", ws_pings);
    result_count("statuses", ws_statuses);
}

void idle_run(char **args)
{
    wanted = count_of(args[0], "sessions", 1, 100000);
    int at_once = count_of(args[1], "at once", 1, wanted);
    sessions = calloc((size_t)wanted, sizeof(*sessions));
    if (!sessions)
        quit("no memory");
    for (int i = 0; i < wanted; i++)
        sessions[i].ws = (struct ws){
            .user = &users[i % user_count], .opened = session_opened, .text = session_text};
    double start = net_now();
    while (dialled < at_once)
        dial();
    while (opened < wanted)
        net_turn(1);
    double seconds = net_now() - start;
    say("open");
    result_number("seconds", seconds);
    result_number("per_second", wanted / seconds);
    result_latency("open", &opening);
    result_end();
    struct conn input = {.fd = STDIN_FILENO, .readable = input_readable, .ended = input_end};
    net_watch(&input);
    while (!input_ended)
        net_turn(60);
    say("rest");
    result_end();
}

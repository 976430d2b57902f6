/* HTTP requests in a loop: a GET with or without keep-alive, and logins. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

struct loop {
    struct conn conn; /* first: the two have one address */
    struct user *user;
    double asked;
};

static const char *path; /* NULL: log in */
static bool keep_alive = true;
static bool stopping;
static int waiting; /* requests without an answer, and connections that are about to close */
static unsigned long long answers, refusals, bytes;
static struct histogram latencies;

static void ask(struct conn *c)
{
    struct loop *l = (struct loop *)c;
    char body[256];
    if (keep_alive)
        l->asked = net_now();
    if (path) {
        http_request(c, "GET", path, l->user->token, NULL, !keep_alive);
        return;
    }
    snprintf(body, sizeof(body), "{\"username\":\"%s\",\"password\":\"%s\"}", l->user->name,
             l->user->password);
    http_request(c, "POST", "/login", NULL, body, !keep_alive);
}

/* Without keep-alive a connection is a part of what is measured. */
static void dial(struct loop *l)
{
    l->asked = net_now();
    waiting++;
    net_dial(&l->conn);
}

/* 503: a server may close after it. */
static void refused(struct conn *c)
{
    refusals++;
    net_close(c);
    waiting--;
    if (!stopping)
        dial((struct loop *)c);
}

static void take(struct conn *c)
{
    struct loop *l = (struct loop *)c;
    struct answer a;
    if (!http_answer(c, &a))
        return;
    if (a.status == 503) {
        refused(c);
        return;
    }
    if (a.status != 200)
        quit("%s: %d %.*s", path ? path : "login", a.status, (int)a.size, a.body);
    histogram_add(&latencies, net_now() - l->asked);
    answers++;
    bytes += a.size;
    http_drop(c, &a);
    if (keep_alive && stopping)
        waiting--;
    else if (keep_alive)
        ask(c);
}

static void ended(struct conn *c)
{
    if (keep_alive || c->in.used > 0)
        quit("the server closed a connection before its answer");
    net_close(c);
    waiting--;
    if (!stopping)
        dial((struct loop *)c);
}

static void run(const char *mode, int connections, double seconds)
{
    struct loop *loops = calloc((size_t)connections, sizeof(*loops));
    if (!loops)
        quit("no memory");
    double start = net_now(), cpu = cpu_seconds(), left;
    for (int i = 0; i < connections; i++) {
        loops[i].conn = (struct conn){.opened = ask, .readable = take, .ended = ended};
        loops[i].user = &users[i % user_count];
        dial(&loops[i]);
    }
    while ((left = start + seconds - net_now()) > 0)
        net_turn(left);
    unsigned long long counted = answers;
    seconds = net_now() - start;
    cpu = cpu_seconds() - cpu;
    stopping = true;
    while (waiting > 0)
        net_turn(1);
    for (int i = 0; i < connections; i++) {
        if (loops[i].conn.fd >= 0)
            net_close(&loops[i].conn);
    }
    result_begin(mode);
    result_count("connections", (unsigned long long)connections);
    result_count("requests", counted);
    result_count("answers", answers);
    result_count("refused", refusals);
    result_count("bytes_each", answers ? bytes / answers : 0);
    result_number("seconds", seconds);
    result_number("per_second", (double)counted / seconds);
    result_latency("answer", &latencies);
    result_number("generator_cpu", cpu / seconds);
    result_end();
    free(loops);
}

void http_run(char **args)
{
    int connections = count_of(args[0], "connections", 1, 10000);
    double seconds = seconds_of(args[1]);
    keep_alive = strcmp(args[2], "keepalive") == 0;
    if (!keep_alive && strcmp(args[2], "close") != 0)
        quit("keepalive or close, not \"%s\"", args[2]);
    path = args[3];
    run("http", connections, seconds);
}

void login_run(char **args)
{
    run("login", count_of(args[0], "connections", 1, 10000), seconds_of(args[1]));
}

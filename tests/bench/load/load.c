/*
 * A load generator for chat servers that speak chatd-protocol(7).
 *
 *   load PORT users N                     registers N users, prints a line for each: FILE
 *   load -u FILE PORT pairs P W WARM S    P pairs with W messages in flight each, from one to
 *                                         the other, for S seconds after WARM seconds
 *   load -u FILE PORT count P W M         the same until each pair has had M messages
 *   load -u FILE PORT groups G R W WARM S G groups with R receivers, who are online, and a sender
 *                                         with W messages in flight
 *   load -u FILE PORT flood C W BYTES S   C connections of one user, W messages in flight each
 *   load -u FILE PORT idle N K            N WebSockets that rest, opened K at a time; says so
 *                                         when all are open, and when its input has ended
 *   load -u FILE PORT http C S KIND PATH  GET PATH on C connections; KIND: keepalive, or close
 *                                         for a connection for each request
 *   load -u FILE PORT login C S           POST /login on C connections
 *   load -u FILE PORT resume CURSOR N     opens /ws?cursor= N times, each until "resumed"
 *
 * A message is in flight until its sender has the ack and each receiver has the frame; its latency
 * is from sending to each receipt.
 *
 * Each prints a line of JSON for its result.
 */
#include "load.h"

#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

static void users_run(char **args)
{
    users_register(count_of(args[0], "users", 1, 100000));
}

static const struct mode {
    const char *name;
    int args;
    bool needs_users;
    void (*run)(char **args);
} modes[] = {{"users", 1, false, users_run},  {"pairs", 4, true, pairs_run},
             {"count", 3, true, pairs_count}, {"groups", 5, true, groups_run},
             {"flood", 4, true, flood_run},   {"idle", 2, true, idle_run},
             {"http", 4, true, http_run},     {"login", 2, true, login_run},
             {"resume", 2, true, resume_run}};

void quit(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    fputs("load: ", stderr);
    vfprintf(stderr, fmt, ap);
    va_end(ap);
    fputc('\n', stderr);
    exit(1);
}

int count_of(const char *text, const char *what, int least, int most)
{
    char *end;
    long value = strtol(text, &end, 10);
    if (*text == 0 || *end || value < least || value > most)
        quit("%s: a number from %d to %d, not \"%s\"", what, least, most, text);
    return (int)value;
}

double seconds_of(const char *text)
{
    char *end;
    double value = strtod(text, &end);
    if (*text == 0 || *end || !(value >= 0 && value <= 3600))
        quit("seconds: a number from 0 to 3600, not \"%s\"", text);
    return value;
}

static void __attribute__((noreturn)) usage(void)
{
    quit("usage: load [-u FILE] PORT[,PORT ...] users N | pairs P W WARM S | count P W M | groups G R W WARM "
         "S | flood C W BYTES S "
         "| idle N K |"
         " http C S keepalive|close PATH | login C S | resume CURSOR N");
}

static const struct mode *find_mode(const char *name)
{
    for (size_t i = 0; i < sizeof(modes) / sizeof(*modes); i++) {
        if (strcmp(modes[i].name, name) == 0)
            return &modes[i];
    }
    usage();
}

/* As many descriptors as may be: one for each client. */
static void raise_limit(void)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
        limit.rlim_cur = limit.rlim_max;
        setrlimit(RLIMIT_NOFILE, &limit);
    }
}

int main(int argc, char **argv)
{
    argv++;
    argc--;
    if (argc >= 2 && strcmp(argv[0], "-u") == 0) {
        users_read(argv[1]);
        argv += 2;
        argc -= 2;
    }
    if (argc < 2)
        usage();
    const struct mode *mode = find_mode(argv[1]);
    if (argc != 2 + mode->args)
        usage();
    if (mode->needs_users)
        users_need(1);
    signal(SIGPIPE, SIG_IGN);
    raise_limit();
    net_init(argv[0]);
    mode->run(argv + 2);
    return 0;
}

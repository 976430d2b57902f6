/*
 * Pairs: one of two users sends, the other receives, with a fixed number of messages in flight.
 *
 * A message is over when its sender has the ack and its receiver has the frame; then the next one
 * goes. Each carries its number and must come once; those that come out of order are counted.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

/* A server may bound what one client has in flight; nothing takes longer than the seconds. */
enum { MAX_WINDOW = 64, MAX_SECONDS = 60 };

struct flight {
    uint64_t number;
    double sent_at;
    bool acked, received; /* both: the place is free */
};

struct pair {
    struct ws sender, receiver; /* each knows its pair by its place in it */
    uint64_t sent, acked, received, over;
    uint64_t next; /* the number that is expected if they come in order */
    struct flight flights[MAX_WINDOW];
};

static struct pair *pairs;
static int pair_count, window;
static int open_ends;
static uint64_t goal; /* messages per pair at most */
static bool measuring;
static uint64_t reordered; /* came when another was due */
static struct histogram receipts, acks;

static void send_number(struct pair *p, struct flight *f)
{
    char text[256];
    *f = (struct flight){.number = p->sent, .sent_at = net_now()};
    int n = snprintf(text, sizeof(text),
                     "{\"type\":\"message\",\"id\":\"%s-%" PRIu64 "\",\"content\":\"%" PRIu64
                     " is the number of this message\",\"data\":{\"receiver_id\":%lld}}",
                     run_id, p->sent, p->sent, p->receiver.user->id);
    p->sent++;
    ws_send_text(&p->sender, text, (size_t)n);
}

static struct flight *find_flight(struct pair *p, uint64_t number, const char *what)
{
    for (int i = 0; i < window; i++) {
        struct flight *f = &p->flights[i];
        if (f->number == number && !(f->acked && f->received))
            return f;
    }
    quit("%s for message %" PRIu64 ", which is not under way", what, number);
}

/* One that is over makes room for the next. */
static void land(struct pair *p, struct flight *f)
{
    if (!f->acked || !f->received)
        return;
    p->over++;
    if (p->sent < goal)
        send_number(p, f);
}

static void start(struct pair *p)
{
    for (int i = 0; i < window; i++) {
        struct flight *f = &p->flights[i];
        f->acked = f->received = true;
        if (p->sent < goal)
            send_number(p, f);
    }
}

static void sender_text(struct ws *w, const char *text, size_t n)
{
    struct pair *p = (struct pair *)((char *)w - offsetof(struct pair, sender));
    char mark[32];
    if (!ws_is(text, n, "ack") || strstr(text, "\"duplicate\":true"))
        quit("not the ack of a new message: %s", text);
    snprintf(mark, sizeof(mark), "\"id\":\"%s-", run_id);
    struct flight *f = find_flight(p, ws_number(text, mark), "an ack");
    if (f->acked)
        quit("two acks for message %" PRIu64, f->number);
    f->acked = true;
    p->acked++;
    if (measuring)
        histogram_add(&acks, net_now() - f->sent_at);
    land(p, f);
}

static void receiver_text(struct ws *w, const char *text, size_t n)
{
    struct pair *p = (struct pair *)((char *)w - offsetof(struct pair, receiver));
    if (!ws_is(text, n, "message"))
        quit("not a message: %s", text);
    struct flight *f = find_flight(p, ws_number(text, "\"content\":\""), "a frame");
    if (f->received)
        quit("message %" PRIu64 " came twice", f->number);
    if (f->number != p->next)
        reordered++;
    p->next = f->number + 1;
    f->received = true;
    p->received++;
    if (measuring)
        histogram_add(&receipts, net_now() - f->sent_at);
    land(p, f);
}

static void end_opened(struct ws *w)
{
    (void)w;
    open_ends++;
}

static void open_ends_of(struct pair *p, const struct user *two)
{
    p->sender = (struct ws){.user = &two[0], .opened = end_opened, .text = sender_text};
    p->receiver = (struct ws){.user = &two[1], .opened = end_opened, .text = receiver_text};
    ws_open(&p->sender);
    ws_open(&p->receiver);
}

static void open_all(char **args)
{
    pair_count = count_of(args[0], "pairs", 1, 10000);
    window = count_of(args[1], "messages in flight", 1, MAX_WINDOW);
    users_need(2 * pair_count);
    run_id_make();
    pairs = calloc((size_t)pair_count, sizeof(*pairs));
    if (!pairs)
        quit("no memory");
    for (int i = 0; i < pair_count; i++) {
        open_ends_of(&pairs[i], &users[2 * i]);
        while (open_ends < 2 * (i - 8)) /* not a storm: that is a mode of its own */
            net_turn(1);
    }
    while (open_ends < 2 * pair_count)
        net_turn(1);
}

static uint64_t all_over(void)
{
    uint64_t sum = 0;
    for (int i = 0; i < pair_count; i++)
        sum += pairs[i].over;
    return sum;
}

/* Ends the program when nothing has come for too long. */
static void watch_progress(void)
{
    static uint64_t last;
    static double since;
    if (all_over() != last || since == 0) {
        last = all_over();
        since = net_now();
    }
    if (net_now() < since + MAX_SECONDS)
        return;
    for (int i = 0; i < pair_count; i++) {
        if (pairs[i].over < pairs[i].sent)
            quit("pair %d: %" PRIu64 " sent, %" PRIu64 " acknowledged, %" PRIu64
                 " received, and then nothing for %d s",
                 i, pairs[i].sent, pairs[i].acked, pairs[i].received, MAX_SECONDS);
    }
}

/* Until so much is over. */
static void run_to(uint64_t messages)
{
    while (all_over() < messages) {
        net_turn(1);
        watch_progress();
    }
}

static uint64_t all_sent(void)
{
    uint64_t sum = 0;
    for (int i = 0; i < pair_count; i++)
        sum += pairs[i].sent;
    return sum;
}

static void report(const char *mode, uint64_t messages, double seconds, double cpu)
{
    uint64_t acked = 0, received = 0;
    for (int i = 0; i < pair_count; i++) {
        acked += pairs[i].acked;
        received += pairs[i].received;
    }
    result_begin(mode);
    result_count("pairs", (unsigned long long)pair_count);
    result_count("window", (unsigned long long)window);
    result_count("sent", all_sent());
    result_count("acked", acked);
    result_count("received", received);
    result_count("reordered", reordered);
    result_count("messages", messages);
    result_number("seconds", seconds);
    result_number("per_second", (double)messages / seconds);
    result_latency("receipt", &receipts);
    result_latency("ack", &acks);
    result_number("generator_cpu", cpu / seconds);
    result_end();
}

void pairs_run(char **args)
{
    double warm = seconds_of(args[2]), seconds = seconds_of(args[3]);
    open_all(args);
    goal = UINT64_MAX;
    for (int i = 0; i < pair_count; i++)
        start(&pairs[i]);
    net_run_until(net_now() + warm);
    uint64_t before = all_over();
    double began = net_now(), cpu = cpu_seconds();
    measuring = true;
    net_run_until(began + seconds);
    measuring = false;
    seconds = net_now() - began;
    uint64_t messages = all_over() - before;
    cpu = cpu_seconds() - cpu;
    goal = 0;
    run_to(all_sent());
    report("pairs", messages, seconds, cpu);
}

void pairs_count(char **args)
{
    uint64_t each = (uint64_t)count_of(args[2], "messages", 1, 100000000);
    open_all(args);
    goal = each;
    measuring = true;
    double began = net_now(), cpu = cpu_seconds();
    for (int i = 0; i < pair_count; i++)
        start(&pairs[i]);
    run_to(each * (uint64_t)pair_count);
    report("count", all_over(), net_now() - began, cpu_seconds() - cpu);
}

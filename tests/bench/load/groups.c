/*
 * Groups: one member of each sends, all others are online and receive.
 *
 * A message is over when its sender has the ack and each receiver has the frame; then the next one
 * goes. Each comes once to each receiver; those that come out of order are counted.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

/* Nothing takes longer than the seconds. */
enum { MAX_WINDOW = 64, MAX_SECONDS = 60, MAX_BODY = 14000, DIALS = 16 };

struct flight {
    uint64_t number;
    double sent_at;
    bool acked;
    int received; /* by so many; acked, and by all: the place is free */
};

struct group;

struct receiver {
    struct ws ws; /* first: the two have one address */
    struct group *group;
    uint64_t next;             /* the number that is expected if they come in order */
    uint64_t seen[MAX_WINDOW]; /* by place: one more than the number that came last */
};

struct group {
    struct ws sender; /* first: the two have one address */
    struct conn maker;
    long long id;
    struct receiver *receivers;
    uint64_t sent, acked, received, over;
    struct flight flights[MAX_WINDOW];
};

static struct group *groups;
static int group_count, receiver_count, window;
static int made, dialled, opened;
static bool sending, measuring;
static uint64_t reordered; /* came when another was due */
static struct histogram receipts, acks;

static struct user *user_of(int group, int member)
{
    return &users[group * (receiver_count + 1) + member];
}

/* --- messages --- */

static void send_number(struct group *g, struct flight *f)
{
    char text[256];
    *f = (struct flight){.number = g->sent, .sent_at = net_now()};
    int n = snprintf(text, sizeof(text),
                     "{\"type\":\"message\",\"id\":\"%s-%" PRIu64 "\",\"content\":\"%" PRIu64
                     " is the number of this message\",\"data\":{\"conversation_id\":%lld}}",
                     run_id, g->sent, g->sent, g->id);
    g->sent++;
    ws_send_text(&g->sender, text, (size_t)n);
}

static bool is_over(const struct flight *f)
{
    return f->acked && f->received == receiver_count;
}

static struct flight *find_flight(struct group *g, uint64_t number, const char *what)
{
    for (int i = 0; i < window; i++) {
        struct flight *f = &g->flights[i];
        if (f->number == number && !is_over(f))
            return f;
    }
    quit("%s for message %" PRIu64 ", which is not under way", what, number);
}

/* One that is over makes room for the next. */
static void land(struct group *g, struct flight *f)
{
    if (!is_over(f))
        return;
    g->over++;
    if (sending)
        send_number(g, f);
}

static void sender_text(struct ws *w, const char *text, size_t n)
{
    struct group *g = (struct group *)w;
    char mark[32];
    if (!ws_is(text, n, "ack") || strstr(text, "\"duplicate\":true"))
        quit("not the ack of a new message: %s", text);
    snprintf(mark, sizeof(mark), "\"id\":\"%s-", run_id);
    struct flight *f = find_flight(g, ws_number(text, mark), "an ack");
    if (f->acked)
        quit("two acks for message %" PRIu64, f->number);
    f->acked = true;
    g->acked++;
    if (measuring)
        histogram_add(&acks, net_now() - f->sent_at);
    land(g, f);
}

static void receiver_text(struct ws *w, const char *text, size_t n)
{
    struct receiver *r = (struct receiver *)w;
    if (!ws_is(text, n, "message"))
        quit("not a message: %s", text);
    struct flight *f = find_flight(r->group, ws_number(text, "\"content\":\""), "a frame");
    uint64_t *seen = &r->seen[f - r->group->flights];
    if (*seen == f->number + 1)
        quit("message %" PRIu64 " came twice", f->number);
    *seen = f->number + 1;
    if (f->number != r->next)
        reordered++;
    r->next = f->number + 1;
    f->received++;
    r->group->received++;
    if (measuring)
        histogram_add(&receipts, net_now() - f->sent_at);
    land(r->group, f);
}

/* --- before that: the groups are made, and all of them come --- */

static void ask(struct conn *c)
{
    struct group *g = (struct group *)((char *)c - offsetof(struct group, maker));
    int index = (int)(g - groups);
    char body[MAX_BODY];
    size_t n = (size_t)snprintf(body, sizeof(body), "{\"name\":\"Group %d\",\"members\":[", index);
    for (int i = 1; i <= receiver_count && n < sizeof(body); i++)
        n += (size_t)snprintf(body + n, sizeof(body) - n, "%s%lld", i > 1 ? "," : "",
                              user_of(index, i)->id);
    if (n + 3 > sizeof(body))
        quit("%d receivers are too many for one request", receiver_count);
    memcpy(body + n, "]}", 3);
    http_request(c, "POST", "/conversations", user_of(index, 0)->token, body, false);
}

static void take(struct conn *c)
{
    struct group *g = (struct group *)((char *)c - offsetof(struct group, maker));
    struct answer a;
    if (!http_answer(c, &a))
        return;
    if (a.status != 201 || a.size < 6 || memcmp(a.body, "{\"id\":", 6) != 0)
        quit("a group was not made: %d %.*s", a.status, (int)a.size, a.body);
    g->id = atoll(a.body + 6);
    net_close(c);
    made++;
}

static void make_groups(void)
{
    for (int i = 0; i < group_count; i++) {
        groups[i].maker = (struct conn){.opened = ask, .readable = take};
        net_dial(&groups[i].maker);
        while (made < i - DIALS)
            net_turn(1);
    }
    while (made < group_count)
        net_turn(1);
}

static void end_opened(struct ws *w)
{
    (void)w;
    opened++;
}

static void open_end(struct ws *w, const struct user *user,
                     void (*text)(struct ws *, const char *, size_t))
{
    *w = (struct ws){.user = user, .opened = end_opened, .text = text};
    ws_open(w);
    dialled++;
    while (opened < dialled - DIALS) /* not a storm: that is a mode of its own */
        net_turn(1);
}

static void open_all(struct group *g)
{
    int index = (int)(g - groups);
    open_end(&g->sender, user_of(index, 0), sender_text);
    for (int i = 0; i < receiver_count; i++) {
        g->receivers[i].group = g;
        open_end(&g->receivers[i].ws, user_of(index, i + 1), receiver_text);
    }
}

static void begin(char **args)
{
    group_count = count_of(args[0], "groups", 1, 10000);
    receiver_count = count_of(args[1], "receivers", 1, 10000);
    window = count_of(args[2], "messages in flight", 1, MAX_WINDOW);
    users_need(group_count * (receiver_count + 1));
    run_id_make();
    groups = calloc((size_t)group_count, sizeof(*groups));
    if (!groups)
        quit("no memory");
    for (int i = 0; i < group_count; i++) {
        groups[i].receivers = calloc((size_t)receiver_count, sizeof(struct receiver));
        if (!groups[i].receivers)
            quit("no memory");
    }
    make_groups();
    for (int i = 0; i < group_count; i++)
        open_all(&groups[i]);
    while (opened < dialled)
        net_turn(1);
}

/* --- the run --- */

struct sums {
    uint64_t sent, acked, received, over;
};

static struct sums sum_up(void)
{
    struct sums s = {0};
    for (int i = 0; i < group_count; i++) {
        s.sent += groups[i].sent;
        s.acked += groups[i].acked;
        s.received += groups[i].received;
        s.over += groups[i].over;
    }
    return s;
}

/* Until all that was sent is over. */
static void finish(void)
{
    double since = net_now();
    for (struct sums last = {0}, s; s = sum_up(), s.over < s.sent; last = s) {
        if (s.received != last.received || s.acked != last.acked)
            since = net_now();
        if (net_now() > since + MAX_SECONDS)
            quit("%" PRIu64 " messages sent, %" PRIu64 " acknowledged, %" PRIu64
                 " received, and then nothing for %d s",
                 s.sent, s.acked, s.received, MAX_SECONDS);
        net_turn(1);
    }
}

static void report(struct sums in_time, double seconds, double cpu)
{
    struct sums all = sum_up();
    result_begin("groups");
    result_count("groups", (unsigned long long)group_count);
    result_count("receivers", (unsigned long long)receiver_count);
    result_count("window", (unsigned long long)window);
    result_count("sent", all.sent);
    result_count("acked", all.acked);
    result_count("received", all.received);
    result_count("reordered", reordered);
    result_number("seconds", seconds);
    result_number("per_second", (double)in_time.over / seconds);
    result_number("deliveries_per_second", (double)in_time.received / seconds);
    result_latency("receipt", &receipts);
    result_latency("ack", &acks);
    result_number("generator_cpu", cpu / seconds);
    result_end();
}

void groups_run(char **args)
{
    double warm = seconds_of(args[3]), seconds = seconds_of(args[4]);
    begin(args);
    sending = true;
    for (int i = 0; i < group_count; i++) {
        for (int j = 0; j < window; j++)
            send_number(&groups[i], &groups[i].flights[j]);
    }
    net_run_until(net_now() + warm);
    struct sums before = sum_up();
    double began = net_now(), cpu = cpu_seconds();
    measuring = true;
    net_run_until(began + seconds);
    measuring = false;
    seconds = net_now() - began;
    struct sums in_time = sum_up();
    in_time.over -= before.over;
    in_time.received -= before.received;
    cpu = cpu_seconds() - cpu;
    sending = false;
    finish();
    report(in_time, seconds, cpu);
}

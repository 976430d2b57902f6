/*
 * A flood: the connections of one user send to another, as fast as they are taken, and read
 * whatever comes. Nothing is checked; others are measured beside it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

enum { MAX_CONTENT = 60000 };

struct flooder {
    struct ws ws; /* first: the two have one address */
    unsigned long long sent;
    int number;
};

static struct flooder *flooders;
static int open_count;
static char content[MAX_CONTENT + 1];
static unsigned long long acked, refused, frames;

static void send_next(struct flooder *f)
{
    static char text[MAX_CONTENT + 256];
    int n = snprintf(text, sizeof(text),
                     "{\"type\":\"message\",\"id\":\"%s-%d-%llu\",\"content\":\"%s\",\"data\":{"
                     "\"receiver_id\":%lld}}",
                     run_id, f->number, f->sent++, content, users[1].id);
    ws_send_text(&f->ws, text, (size_t)n);
}

static void flood_opened(struct ws *w)
{
    (void)w;
    open_count++;
}

static void flood_text(struct ws *w, const char *text, size_t n)
{
    frames++;
    bool ack = ws_is(text, n, "ack"), error = ws_is(text, n, "error");
    acked += ack;
    refused += error;
    if (ack || error)
        send_next((struct flooder *)w);
}

static void open_all(int count)
{
    flooders = calloc((size_t)count, sizeof(*flooders));
    if (!flooders)
        quit("no memory");
    for (int i = 0; i < count; i++) {
        flooders[i] = (struct flooder){
            .ws = {.user = &users[0], .opened = flood_opened, .text = flood_text}, .number = i};
        ws_open(&flooders[i].ws);
        while (open_count < i - 16)
            net_turn(1);
    }
    while (open_count < count)
        net_turn(1);
}

void flood_run(char **args)
{
    int count = count_of(args[0], "connections", 1, 10000);
    int window = count_of(args[1], "messages in flight", 1, 64);
    double seconds = seconds_of(args[3]);
    memset(content, 'x', (size_t)count_of(args[2], "bytes", 1, MAX_CONTENT));
    users_need(2);
    run_id_make();
    open_all(count);
    result_begin("flooding");
    result_end();
    double begin = net_now(), left;
    for (int i = 0; i < count; i++)
        for (int j = 0; j < window; j++)
            send_next(&flooders[i]);
    while ((left = begin + seconds - net_now()) > 0)
        net_turn(left);
    result_begin("flood");
    result_number("acked_per_second", (double)acked / (net_now() - begin));
    result_count("refused", refused);
    result_number("frames_per_second", (double)frames / (net_now() - begin));
    result_end();
}

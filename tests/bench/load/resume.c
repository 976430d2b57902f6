/* Coming back: a WebSocket with a cursor, again and again, each until the server says "resumed". */
#include <string.h>

#include "load.h"

static int resumed;
static unsigned long long frames;
static double dialled;
static struct histogram latencies;

static void opened(struct ws *w)
{
    (void)w;
}

static void take_text(struct ws *w, const char *text, size_t n)
{
    (void)w;
    if (ws_is(text, n, "message")) {
        frames++;
        return;
    }
    if (!ws_is(text, n, "resumed") || !strstr(text, "\"recovered\":true"))
        quit("not resumed: %s", text);
    histogram_add(&latencies, net_now() - dialled);
    resumed++;
}

void resume_run(char **args)
{
    int times = count_of(args[1], "times", 1, 100000);
    struct ws w = {.user = &users[0], .cursor = args[0], .opened = opened, .text = take_text};
    for (int i = 0; i < times; i++) {
        dialled = net_now();
        ws_open(&w);
        while (resumed <= i)
            net_turn(1);
        net_close(&w.conn);
    }
    result_begin("resume");
    result_count("times", (unsigned long long)times);
    result_count("frames_each", frames / (unsigned long long)times);
    result_latency("resume", &latencies);
    result_end();
}

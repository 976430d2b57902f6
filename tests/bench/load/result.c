/* Latencies, and the line of JSON that a mode prints; see load.h. */
#include <math.h>
#include <stdio.h>
#include <sys/resource.h>

#include "load.h"

/* A bucket for each of 64 steps between a power of two of microseconds and the next. */
enum { STEPS = 64, POWERS = 40 };

void histogram_add(struct histogram *h, double seconds)
{
    int power;
    double fraction = frexp(seconds < 1e-6 ? 1 : seconds * 1e6, &power); /* in [0.5, 1) */
    if (power >= POWERS)
        quit("a latency of %.0f s", seconds);
    h->buckets[power * STEPS + (int)((fraction - 0.5) * 2 * STEPS)]++;
    h->count++;
    h->sum += seconds;
    if (seconds > h->max)
        h->max = seconds;
}

/* In ms: the middle of the bucket in which that share of all is reached. */
static double percentile(const struct histogram *h, double share)
{
    uint64_t rank = (uint64_t)ceil((double)h->count * share), seen = 0;
    for (int i = 0; i < STEPS * POWERS; i++) {
        seen += h->buckets[i];
        if (seen >= rank && seen > 0)
            return ldexp(0.5 + (i % STEPS + 0.5) / (2.0 * STEPS), i / STEPS) / 1e3;
    }
    return 0;
}

void result_begin(const char *mode)
{
    printf("{\"mode\":\"%s\"", mode);
}

void result_count(const char *name, unsigned long long value)
{
    printf(",\"%s\":%llu", name, value);
}

void result_number(const char *name, double value)
{
    printf(",\"%s\":%.4f", name, value);
}

void result_latency(const char *name, const struct histogram *h)
{
    printf(",\"%s_p50_ms\":%.4f,\"%s_p99_ms\":%.4f,\"%s_mean_ms\":%.4f,\"%s_max_ms\":%.4f", name,
           percentile(h, 0.50), name, percentile(h, 0.99), name,
           h->count ? h->sum / (double)h->count * 1e3 : 0, name, h->max * 1e3);
}

void result_end(void)
{
    puts("}");
    if (fflush(stdout) != 0)
        quit("the result cannot be written");
}

double cpu_seconds(void)
{
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    return (double)(u.ru_utime.tv_sec + u.ru_stime.tv_sec) +
           (double)(u.ru_utime.tv_usec + u.ru_stime.tv_usec) / 1e6;
}

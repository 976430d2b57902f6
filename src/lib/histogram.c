/* Counts by ranges; see histogram.h. */
#include "histogram.h"

#include <inttypes.h>
#include <stdio.h>

#include "buf.h"
#include "exposition.h"

const uint64_t histogram_times[HISTOGRAM_TIMES] = {
    500,    1000,   2500,    5000,    10000,   25000,    50000,    100000,
    250000, 500000, 1000000, 2500000, 5000000, 10000000, 30000000,
};

void histogram_add(struct histogram *h, uint64_t value, uint64_t times)
{
    size_t i = 0;
    while (i < h->count && value > h->bounds[i])
        i++;
    h->values[i] += times;
    h->sum += value * times;
}

/* A bound in units. It is exact: no bound has more than six digits. */
static void put_bound(const struct histogram *h, char *text, size_t size, size_t i)
{
    if (i < h->count)
        snprintf(text, size, "%g", (double)h->bounds[i] / (double)h->scale);
    else
        snprintf(text, size, "+Inf");
}

static void put_sum(const struct histogram *h, struct buf *out, const char *name,
                    const char *labels)
{
    buf_printf(out, "%s_sum%s%s%s %" PRIu64, name, *labels ? "{" : "", labels, *labels ? "}" : "",
               h->sum / h->scale);
    if (h->scale == HISTOGRAM_SECOND)
        buf_printf(out, ".%06" PRIu64, h->sum % h->scale);
    buf_puts(out, "\n");
}

void histogram_put(const struct histogram *h, struct buf *out, const char *name, const char *labels)
{
    char series[96], within[96], bound[24];
    uint64_t so_far = 0;
    snprintf(series, sizeof(series), "%s_bucket", name);
    for (size_t i = 0; i <= h->count; i++) {
        so_far += h->values[i];
        put_bound(h, bound, sizeof(bound), i);
        snprintf(within, sizeof(within), "%s%sle=\"%s\"", labels, *labels ? "," : "", bound);
        exposition_put(out, series, within, so_far);
    }
    put_sum(h, out, name, labels);
    snprintf(series, sizeof(series), "%s_count", name);
    exposition_put(out, series, labels, so_far);
}

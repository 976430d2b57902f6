/*
 * How often values of which size came: counts by ranges, as Prometheus wants them.
 *
 * To count a value is to look through some sixteen bounds and to add to two integers.
 */
#ifndef HISTOGRAM_H
#define HISTOGRAM_H

#include <stddef.h>
#include <stdint.h>

struct buf;

enum { HISTOGRAM_MOST = 16 };

struct histogram {
    const uint64_t *bounds; /* ascending; a value is in the first that it does not exceed */
    size_t count;           /* of bounds */
    uint64_t scale;         /* what a unit is divided into: 1,000,000 for seconds in microseconds */
    uint64_t values[HISTOGRAM_MOST + 1]; /* by bound; the last: those above all */
    uint64_t sum;
};

/* An initializer, for bounds that are an array of at most HISTOGRAM_MOST. */
#define HISTOGRAM(bounds, scale)                                                                   \
    {                                                                                              \
        (bounds), sizeof(bounds) / sizeof((bounds)[0]), (scale), {0}, 0                            \
    }

/* Durations in microseconds, from half a millisecond to half a minute. */
enum { HISTOGRAM_TIMES = 15, HISTOGRAM_SECOND = 1000000 };
extern const uint64_t histogram_times[HISTOGRAM_TIMES];

/* Counts this value so many times. */
void histogram_add(struct histogram *h, uint64_t value, uint64_t times);

/* Puts its samples. labels: as in exposition.h. */
void histogram_put(const struct histogram *h, struct buf *out, const char *name,
                   const char *labels);

#endif

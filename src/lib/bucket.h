/*
 * A token bucket: a burst of count, refilled at count per period.
 *
 * It stores one number: when it will be full again if nothing more is taken. All zero bytes: full.
 */
#ifndef BUCKET_H
#define BUCKET_H

#include <stdbool.h>
#include <stdint.h>

struct bucket {
    int64_t full_at; /* nanoseconds of clock_ms()'s clock */
};

/* The refill: count per period, in milliseconds, at most 1,000,000,000; count is also the bucket's
 * capacity. A count of 0 means no limit. */
struct bucket_rate {
    int64_t count, period;
};

/* Takes so much at the time now, clock_ms(). False, and nothing is taken, if less is there. */
bool bucket_take(struct bucket *b, struct bucket_rate rate, int64_t now, int64_t amount);

/* Is everything there that it can hold? */
bool bucket_is_full(const struct bucket *b, int64_t now);

/* Puts back what was taken and not used. */
void bucket_return(struct bucket *b, struct bucket_rate rate, int64_t amount);

#endif

/*
 * A token bucket: so much at once, and so much again in each period, no more.
 *
 * It holds as much as a period brings. One number is all that it remembers: when it will be full
 * again if nothing more is taken. A bucket of zero bytes is full.
 */
#ifndef BUCKET_H
#define BUCKET_H

#include <stdbool.h>
#include <stdint.h>

struct bucket {
    int64_t full_at; /* nanoseconds of clock_ms()'s clock */
};

/* What flows in: count each period of this many milliseconds, at most 1,000,000,000 of them; count
 * also is what the bucket holds. A count of 0 stands for no limit. */
struct bucket_rate {
    int64_t count, period;
};

/* Takes so much at the time now, clock_ms(). False, and nothing is taken, if less is there. */
bool bucket_take(struct bucket *b, struct bucket_rate rate, int64_t now, int64_t amount);

/* Puts back what was taken and not used. */
void bucket_return(struct bucket *b, struct bucket_rate rate, int64_t amount);

#endif

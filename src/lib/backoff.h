/* How long to wait before trying again: doubles with each failure, with random jitter. */
#ifndef BACKOFF_H
#define BACKOFF_H

#include <stdint.h>

struct backoff {
    int64_t first; /* milliseconds before the first retry */
    int64_t most;  /* milliseconds, never more than this */
    int64_t next;  /* what the next failure waits; 0 before any */
};

/* After a failure: milliseconds to wait, between half and all of the doubled time, so that callers
 * that failed together do not retry together. */
int64_t backoff_failed(struct backoff *b);

/* After success: the next failure starts small again. */
void backoff_reset(struct backoff *b);

#endif

/* Exponential back-off; see backoff.h. */
#include "backoff.h"

#include "random.h"

int64_t backoff_failed(struct backoff *b)
{
    int64_t wait = b->next ? b->next : b->first;
    b->next = wait * 2 > b->most ? b->most : wait * 2;
    return wait / 2 + (int64_t)(random_u64() % (uint64_t)(wait / 2 + 1));
}

void backoff_reset(struct backoff *b)
{
    b->next = 0;
}

/* Exponential back-off; see backoff.h. */
#include "backoff.h"

#include <stdlib.h>
#include <sys/random.h>

int64_t backoff_failed(struct backoff *b)
{
    int64_t wait = b->next ? b->next : b->first;
    b->next = wait * 2 > b->most ? b->most : wait * 2;
    uint32_t chance = 0;
    if (getrandom(&chance, sizeof(chance), GRND_NONBLOCK) != (ssize_t)sizeof(chance))
        chance = 0;
    return wait / 2 + (int64_t)(chance % (uint64_t)(wait / 2 + 1));
}

void backoff_reset(struct backoff *b)
{
    b->next = 0;
}

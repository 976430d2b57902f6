/* Token buckets; see bucket.h. */
#include "bucket.h"

enum { NS_PER_MS = 1000 * 1000 };

static int64_t ns_each(struct bucket_rate rate)
{
    return rate.period * NS_PER_MS / rate.count;
}

bool bucket_take(struct bucket *b, struct bucket_rate rate, int64_t now, int64_t amount)
{
    if (rate.count == 0)
        return true;
    int64_t ns = now * NS_PER_MS;
    int64_t from = b->full_at > ns ? b->full_at : ns;
    int64_t full_at = from + amount * ns_each(rate);
    if (full_at - ns > rate.count * ns_each(rate))
        return false;
    b->full_at = full_at;
    return true;
}

bool bucket_is_full(const struct bucket *b, int64_t now)
{
    return b->full_at <= now * NS_PER_MS;
}

void bucket_return(struct bucket *b, struct bucket_rate rate, int64_t amount)
{
    if (rate.count > 0)
        b->full_at -= amount * ns_each(rate);
}

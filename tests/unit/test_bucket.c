/* Token buckets, and counts by number. */
#include "bucket.h"
#include "tally.h"

#include "test.h"

static const struct bucket_rate three_a_second = {3, 1000};

static void it_holds_what_a_period_brings(void)
{
    struct bucket b = {0};
    for (int i = 0; i < 3; i++)
        CHECK(bucket_take(&b, three_a_second, 50, 1));
    CHECK(!bucket_take(&b, three_a_second, 50, 1));
    struct bucket whole = {0};
    CHECK(bucket_take(&whole, three_a_second, 50, 3));
    CHECK(!bucket_take(&whole, three_a_second, 50, 1));
    struct bucket none = {0};
    CHECK(!bucket_take(&none, three_a_second, 50, 4));
    CHECK(bucket_take(&none, three_a_second, 50, 3)); /* what was refused took nothing */
}

static void it_fills_bit_by_bit_and_not_beyond(void)
{
    struct bucket b = {0};
    CHECK(bucket_take(&b, three_a_second, 0, 3));
    CHECK(!bucket_take(&b, three_a_second, 333, 1));
    CHECK(bucket_take(&b, three_a_second, 334, 1));
    CHECK(!bucket_take(&b, three_a_second, 334, 1));
    CHECK(bucket_take(&b, three_a_second, 100000, 3));
    CHECK(!bucket_take(&b, three_a_second, 100000, 1));
}

static void what_is_returned_can_be_taken_again(void)
{
    struct bucket b = {0};
    CHECK(bucket_take(&b, three_a_second, 7, 3));
    bucket_return(&b, three_a_second, 2);
    CHECK(bucket_take(&b, three_a_second, 7, 2));
    CHECK(!bucket_take(&b, three_a_second, 7, 1));
    struct bucket full = {0};
    bucket_return(&full, three_a_second, 2); /* too much: it is full all the same */
    CHECK(bucket_take(&full, three_a_second, 7, 3) && !bucket_take(&full, three_a_second, 7, 1));
}

static void a_count_of_zero_is_no_limit(void)
{
    struct bucket b = {0};
    for (int i = 0; i < 1000; i++)
        CHECK(bucket_take(&b, (struct bucket_rate){0, 1000}, 5, 1000));
    bucket_return(&b, (struct bucket_rate){0, 1000}, 5);
}

static void large_rates_and_long_periods(void)
{
    struct bucket fast = {0}, slow = {0};
    struct bucket_rate million = {1000000, 1000}, hourly = {100, 3600 * 1000};
    int64_t now = (int64_t)3650 * 24 * 3600 * 1000; /* up for ten years */
    for (int i = 0; i < 1000000; i++)
        CHECK(bucket_take(&fast, million, now, 1));
    CHECK(!bucket_take(&fast, million, now, 1) && bucket_take(&fast, million, now + 1, 1000));
    CHECK(bucket_take(&slow, hourly, now, 100) && !bucket_take(&slow, hourly, now + 35999, 1));
    CHECK(bucket_take(&slow, hourly, now + 36000, 1));
}

static void counts_go_up_to_the_limit_and_down(void)
{
    struct tally t = {0};
    for (int i = 0; i < 3; i++)
        CHECK(tally_add(&t, 7, 3));
    CHECK(!tally_add(&t, 7, 3) && tally_add(&t, 8, 3));
    tally_drop(&t, 7);
    CHECK(tally_add(&t, 7, 3) && !tally_add(&t, 7, 3));
    for (int i = 0; i < 3; i++)
        tally_drop(&t, 7);
    tally_drop(&t, 8);
    CHECK(t.counts.count == 0); /* what counts zero is forgotten */
    tally_free(&t);
}

int main(void)
{
    RUN(it_holds_what_a_period_brings);
    RUN(it_fills_bit_by_bit_and_not_beyond);
    RUN(what_is_returned_can_be_taken_again);
    RUN(a_count_of_zero_is_no_limit);
    RUN(large_rates_and_long_periods);
    RUN(counts_go_up_to_the_limit_and_down);
    return DONE();
}

/* Counts by ranges, and how they are written for Prometheus. */
#include "buf.h"
#include "exposition.h"
#include "histogram.h"

#include "test.h"

static const uint64_t bounds[] = {1, 10, 100};

static const char *text_of(struct buf *b)
{
    buf_append(b, "", 1);
    return (const char *)buf_head(b);
}

static void a_value_is_in_the_first_range_that_it_does_not_exceed(void)
{
    struct histogram h = HISTOGRAM(bounds, 1);
    struct buf out = BUF_INIT;
    histogram_add(&h, 0, 1);
    histogram_add(&h, 1, 1);
    histogram_add(&h, 2, 1);
    histogram_add(&h, 10, 2);
    histogram_add(&h, 101, 1);
    histogram_put(&h, &out, "x", "");
    CHECK_STR(text_of(&out), "x_bucket{le=\"1\"} 2\nx_bucket{le=\"10\"} 5\nx_bucket{le=\"100\"} 5\n"
                             "x_bucket{le=\"+Inf\"} 6\nx_sum 124\nx_count 6\n");
    buf_free(&out);
}

static void none_is_as_good_as_some(void)
{
    struct histogram h = HISTOGRAM(bounds, 1);
    struct buf out = BUF_INIT;
    histogram_add(&h, 50, 0);
    histogram_put(&h, &out, "x", "");
    CHECK_STR(text_of(&out), "x_bucket{le=\"1\"} 0\nx_bucket{le=\"10\"} 0\nx_bucket{le=\"100\"} 0\n"
                             "x_bucket{le=\"+Inf\"} 0\nx_sum 0\nx_count 0\n");
    buf_free(&out);
}

static void seconds_keep_six_digits_and_labels_come_before_the_bound(void)
{
    static const uint64_t times[] = {500, 2500000};
    struct histogram h = HISTOGRAM(times, HISTOGRAM_SECOND);
    struct buf out = BUF_INIT;
    histogram_add(&h, 7, 1);
    histogram_add(&h, 2500001, 3);
    histogram_put(&h, &out, "x_seconds", "queue=\"a\"");
    CHECK_STR(text_of(&out),
              "x_seconds_bucket{queue=\"a\",le=\"0.0005\"} 1\n"
              "x_seconds_bucket{queue=\"a\",le=\"2.5\"} 1\n"
              "x_seconds_bucket{queue=\"a\",le=\"+Inf\"} 4\n"
              "x_seconds_sum{queue=\"a\"} 7.500010\nx_seconds_count{queue=\"a\"} 4\n");
    buf_free(&out);
}

static void the_bounds_of_times_ascend(void)
{
    for (int i = 1; i < HISTOGRAM_TIMES; i++)
        CHECK(histogram_times[i] > histogram_times[i - 1]);
    CHECK((int)HISTOGRAM_TIMES <= (int)HISTOGRAM_MOST);
}

static void a_family_has_help_type_and_samples(void)
{
    struct buf out = BUF_INIT;
    exposition_begin(&out, "x_total", EXPOSITION_COUNTER, "What came.");
    exposition_put_for(&out, "x_total", "kind", "UPPER_case", 18446744073709551615ULL);
    exposition_put(&out, "x_total", "a=\"b\",c=\"d\"", 0);
    exposition_one(&out, "y", EXPOSITION_GAUGE, "What is there.", 1);
    CHECK_STR(text_of(&out), "# HELP x_total What came.\n# TYPE x_total counter\n"
                             "x_total{kind=\"upper_case\"} 18446744073709551615\n"
                             "x_total{a=\"b\",c=\"d\"} 0\n"
                             "# HELP y What is there.\n# TYPE y gauge\ny 1\n");
    buf_free(&out);
}

int main(void)
{
    RUN(a_value_is_in_the_first_range_that_it_does_not_exceed);
    RUN(none_is_as_good_as_some);
    RUN(seconds_keep_six_digits_and_labels_come_before_the_bound);
    RUN(the_bounds_of_times_ascend);
    RUN(a_family_has_help_type_and_samples);
    return DONE();
}

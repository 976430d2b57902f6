/* What storing messages takes; see commits.h. */
#include "commits.h"

#include "clock.h"
#include "exposition.h"
#include "histogram.h"

static const uint64_t few[] = {1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 4096};

static struct histogram sizes = HISTOGRAM(few, 1);
static struct histogram durations = HISTOGRAM(histogram_times, HISTOGRAM_SECOND);
static struct histogram waits = HISTOGRAM(histogram_times, HISTOGRAM_SECOND);
static uint64_t stored;
static int64_t begun; /* clock_us() */

void commits_begin(void)
{
    begun = clock_us();
}

void commits_end(size_t messages)
{
    histogram_add(&sizes, messages, 1);
    histogram_add(&durations, (uint64_t)(clock_us() - begun), 1);
}

void commits_waited(int64_t since)
{
    int64_t wait = begun / 1000 - since;
    histogram_add(&waits, wait > 0 ? (uint64_t)wait * 1000 : 0, 1);
}

void commits_stored(void)
{
    stored++;
}

uint64_t commits_count(void)
{
    return stored;
}

const struct histogram *commits_waits(void)
{
    return &waits;
}

void commits_expose(struct buf *out)
{
    exposition_one(out, "chatd_messages_stored_total", EXPOSITION_COUNTER,
                   "Messages that this broker has stored.", stored);
    exposition_begin(out, "chatd_commit_batch_messages", EXPOSITION_HISTOGRAM,
                     "Messages in one transaction, those that were refused there included.");
    histogram_put(&sizes, out, "chatd_commit_batch_messages", "");
    exposition_begin(out, "chatd_commit_seconds", EXPOSITION_HISTOGRAM,
                     "Time from sending a batch of messages to the database until its answer.");
    histogram_put(&durations, out, "chatd_commit_seconds", "");
}

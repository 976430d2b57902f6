/* Deliveries and their times; see deliveries.h. */
#include "deliveries.h"

#include <stdbool.h>

#include "clock.h"
#include "exposition.h"
#include "histogram.h"
#include "position.h"

static struct histogram times = HISTOGRAM(histogram_times, HISTOGRAM_SECOND);
static uint64_t given;
static int64_t since;   /* clock_us() of the first learned of; 0: none waits */
static uint64_t begun;  /* given at that time */
static bool handed_out; /* something was since then */

void deliveries_learned(uint64_t change)
{
    if (since || !position_is_started() || change <= position().change)
        return;
    since = clock_us();
    begun = given;
    handed_out = false;
}

void deliveries_handed_out(void)
{
    handed_out = true;
}

void deliveries_given(void)
{
    given++;
}

uint64_t deliveries_count(void)
{
    return given;
}

void deliveries_written(void)
{
    if (!since || !handed_out || position_lags())
        return;
    histogram_add(&times, (uint64_t)(clock_us() - since), given - begun);
    since = 0;
}

void deliveries_forget(void)
{
    since = 0;
}

void deliveries_expose(struct buf *out)
{
    exposition_one(out, "chatd_messages_delivered_total", EXPOSITION_COUNTER,
                   "Messages and changes of them that were given to connected clients, each one.",
                   given);
    exposition_begin(out, "chatd_delivery_seconds", EXPOSITION_HISTOGRAM,
                     "Time from learning of a commit until what it brings was given to a client.");
    histogram_put(&times, out, "chatd_delivery_seconds", "");
}

/* This host's place in the sequence of changes; see position.h. */
#include "position.h"

static bool started;
static struct cursor done, known;
static uint64_t rung; /* the highest id in a doorbell */
static bool reading;  /* what was known to be there */

struct cursor position(void)
{
    return done;
}

void position_start(struct cursor start)
{
    if (!started)
        done = start;
    started = true;
}

bool position_is_started(void)
{
    return started;
}

struct cursor position_known(void)
{
    return known.change > done.change ? known : done;
}

void position_saw(struct cursor change)
{
    if (change.change > known.change)
        known = change;
}

void position_advance(struct cursor to)
{
    if (to.change > done.change)
        done = to;
}

void position_restart(struct cursor to)
{
    done = known = to;
    rung = 0;
    reading = false;
}

void position_rung(uint64_t id)
{
    if (id > rung)
        rung = id;
}

bool position_is_behind(void)
{
    return rung > done.change;
}

void position_read(void)
{
    reading = position_lags();
    rung = 0;
}

void position_has_read(bool more)
{
    reading = more;
}

bool position_lags(void)
{
    return reading || position_is_behind();
}

bool position_is_next(uint64_t change)
{
    return started && change <= done.change + 1;
}

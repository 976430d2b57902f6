/* The difference between two clocks; see skew.h. */
#include "skew.h"

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include "log.h"
#include "pool.h"

enum { TICKS = 30, DIFFERS_MS = 2000, AGREES_MS = 1000 };

static int64_t asked; /* this host's time of the question under way; or 0 */
static int ticks;
static bool differs;

static int64_t now_ms(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The least that this host's clock is ahead; below 0: behind. */
static int64_t ahead(int64_t theirs, int64_t before, int64_t after)
{
    if (theirs < before)
        return before - theirs;
    return theirs > after ? after - theirs : 0;
}

static void judge_skew(int64_t ms)
{
    int64_t size = ms < 0 ? -ms : ms;
    if (!differs && size > DIFFERS_MS)
        log_warn("this host's clock is %lld.%lld s %s the database's: tokens expire too %s here; "
                 "let both follow a time server",
                 (long long)size / 1000, (long long)size % 1000 / 100,
                 ms < 0 ? "behind" : "ahead of", ms < 0 ? "late" : "early");
    if (differs && size <= AGREES_MS)
        log_info("this host's clock and the database's agree again");
    differs = differs ? size > AGREES_MS : size > DIFFERS_MS;
}

static void on_clock(void *arg, const PGresult *result)
{
    (void)arg;
    int64_t before = asked;
    asked = 0;
    if (db_ok(result) && PQntuples(result) == 1)
        judge_skew(ahead(db_int(result, 0, 0), before, now_ms()));
}

void skew_link_up(void)
{
    ticks = 0;
    skew_tick();
}

void skew_tick(void)
{
    if (ticks-- > 0 || asked)
        return;
    ticks = TICKS;
    asked = now_ms();
    struct db_params params = {0};
    pool_run(NULL, STATEMENT_CLOCK, &params, on_clock, NULL);
}

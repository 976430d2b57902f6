/* Removing what is too old; see retention.h. */
#include "retention.h"

#include "broker.h"
#include "link.h"
#include "log.h"
#include "pool.h"

enum {
    AT_ONCE = 200, /* messages: so few that others wait for the change lock for milliseconds */
    PAUSE_MS = 80, /* between two steps: their WAL must not delay the commits of others */
};

static struct loop_timer timer;
static bool asking;            /* a step is under way */
static uint64_t removed, told; /* in all, and up to the last line in the log */

static void step(void *arg);

static void wait(int64_t ms)
{
    timer.call = step;
    loop_timer_set(broker.loop, &timer, ms);
}

static void on_step(void *arg, const PGresult *result)
{
    (void)arg;
    asking = false;
    if (!link_is_up())
        return;
    bool more = false;
    if (result && db_ok(result)) {
        removed += (uint64_t)db_int(result, 0, 0);
        more = db_bool(result, 0, 1);
    }
    if (!more && removed > told) {
        log_info("retention: removed %llu messages", (unsigned long long)(removed - told));
        told = removed;
    }
    wait(more ? PAUSE_MS : broker.conf.retention_interval);
}

static void step(void *arg)
{
    (void)arg;
    if (asking)
        return;
    struct db_params params = {0};
    db_param_int8(&params, link_host());
    db_param_int4(&params, AT_ONCE);
    asking = true;
    pool_run(NULL, STATEMENT_RETENTION_STEP, &params, on_step, NULL);
}

uint64_t retention_removed(void)
{
    return removed;
}

void retention_link_up(void)
{
    wait(broker.conf.retention_interval);
}

void retention_link_lost(void)
{
    loop_timer_stop(broker.loop, &timer);
}

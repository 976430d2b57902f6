/* The host's bond with the database; see link.h. */
#include "link.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "backoff.h"
#include "broker.h"
#include "events.h"
#include "feed.h"
#include "hosts.h"
#include "log.h"
#include "resume.h"
#include "revocations.h"
#include "rows.h"
#include "sends.h"
#include "statuses.h"

/* How often doorbells that never came are made up for. */
enum { TICK_MS = 2000 };

static enum {
    DOWN,       /* waits for the next attempt */
    CONNECTING, /* not both connections are ready yet */
    ATTACHING,  /* asks for a host number */
    OPENING,    /* makes the sessions' rows */
    UP,
} state;

static struct db *listener, *writer;
static struct backoff backoff = {.first = 100, .most = 2000};
static struct loop_timer retry, tick;
static bool hopeless;
static int64_t host;
static char tag[CURSOR_TAG];
static int status = -1;

static void report(const char *line)
{
    if (status >= 0 && write(status, line, strlen(line)) < 0)
        log_warn("reporting to the master: %s", strerror(errno));
}

bool link_is_up(void)
{
    return state == UP;
}

bool link_is_hopeless(void)
{
    return hopeless;
}

int64_t link_host(void)
{
    return host;
}

const char *link_tag(void)
{
    return tag;
}

static void on_retry(void *arg)
{
    (void)arg;
    state = CONNECTING;
    db_connect(listener);
    if (state == CONNECTING)
        db_connect(writer);
}

/* Both connections end; what waits for answers hears of it; the next attempt is on the clock. */
static void on_down(void *arg)
{
    (void)arg;
    if (state == DOWN)
        return;
    if (state == UP) {
        log_warn("the database is away; reconnecting");
        report("down\n");
    } else if (!hopeless) {
        hopeless = true;
        report("down\n");
    }
    state = DOWN;
    host = 0;
    loop_timer_stop(broker.loop, &tick);
    db_close(listener);
    db_close(writer);
    revocations_link_lost();
    feed_link_lost();
    sends_link_lost();
    statuses_link_lost();
    hosts_link_lost();
    loop_timer_set(broker.loop, &retry, backoff_failed(&backoff));
}

bool link_ok(const PGresult *result, const char *what)
{
    if (db_ok(result))
        return true;
    if (result) { /* otherwise the link is down, and this is why there is no answer */
        log_warn("%s failed; connecting anew", what);
        on_down(NULL);
    }
    return false;
}

/* The name of the database; false when it is another one than before. */
static bool take_tag(const PGresult *result)
{
    char before[CURSOR_TAG];
    memcpy(before, tag, sizeof(before));
    size_t n;
    const char *text = db_text(result, 0, 1, &n);
    snprintf(tag, sizeof(tag), "%.*s", (int)n, text);
    return !*before || strcmp(before, tag) == 0;
}

static void on_attached(void *arg, const PGresult *result)
{
    (void)arg;
    if (!link_ok(result, "attaching this host"))
        return;
    host = db_int(result, 0, 0);
    bool honoured = take_tag(result) && db_bool(result, 0, 2);
    if (events_position().change && !honoured)
        resume_all(db_cursor(result, 0, 3));
    state = OPENING;
    hosts_link_up();
    rows_open_all();
}

static void on_up(void *arg)
{
    (void)arg;
    if (state != CONNECTING || !db_ready(listener) || !db_ready(writer))
        return;
    state = ATTACHING;
    char name[256] = "";
    gethostname(name, sizeof(name) - 1);
    struct db_params p = {0};
    db_param_text(&p, name, strlen(name));
    db_param_int8(&p, (int64_t)events_position().change);
    db_param_int4(&p, (int32_t)events_position().stamp);
    db_run(listener, STATEMENT_HOST_ATTACH, &p, on_attached, NULL);
}

static void on_tick(void *arg)
{
    (void)arg;
    events_wanted();
    statuses_wanted();
    revocations_wanted();
    feed_retry();
    loop_timer_set(broker.loop, &tick, TICK_MS);
}

static void come_up(void)
{
    state = UP;
    hopeless = false;
    backoff_reset(&backoff);
    log_info("the database is up; this is host %lld", (long long)host);
    report("up\n");
    statuses_link_up();
    on_tick(NULL);
}

static void next_write(void)
{
    if ((state != OPENING && state != UP) || !db_ready(writer))
        return;
    /* Neither rows nor messages wait for ever because there are more of the other. */
    static bool turn;
    turn = !turn;
    if (state == UP && turn && sends_write(writer))
        return;
    if (rows_write(writer))
        return;
    if (state == OPENING)
        come_up();
    if (db_ready(writer) && !statuses_write(writer))
        sends_write(writer);
}

static void next_read(void)
{
    /* Nor does either kind of news. */
    static bool turn;
    /* This host beats as soon as others can see it, and knows whom it must not serve before it
     * serves. */
    if ((state != OPENING && state != UP) || !db_ready(listener) || hosts_listen(listener) ||
        revocations_read(listener) || state != UP)
        return;
    turn = !turn;
    if (turn ? events_read(listener) : statuses_read(listener))
        return;
    if (turn)
        statuses_read(listener);
    else
        events_read(listener);
}

void link_turn(void)
{
    next_write();
    next_read();
}

/* "e 91": a change with this id was committed; "p 17": somebody came or went; "r": tokens became
 * void. */
static void on_bell(void *arg, const char *payload)
{
    (void)arg;
    unsigned long long number = 0;
    char kind = '\0';
    int parts = sscanf(payload, "%c %llu", &kind, &number);
    if (kind == 'e' && parts == 2)
        events_rung(number);
    else if (kind == 'p')
        statuses_wanted();
    else if (kind == 'r')
        revocations_wanted();
}

static const struct db_owner owner = {on_up, on_down, on_bell};

void link_init(int status_fd)
{
    status = status_fd;
    listener = db_new(broker.loop, &broker.conf, "listener", DB_LISTENER, &owner, NULL);
    writer = db_new(broker.loop, &broker.conf, "writer", DB_WRITER, &owner, NULL);
    retry = (struct loop_timer){.call = on_retry};
    tick = (struct loop_timer){.call = on_tick};
    on_retry(NULL);
}

void link_free(void)
{
    state = DOWN; /* before the connections end, so that nobody starts over */
    loop_timer_stop(broker.loop, &retry);
    loop_timer_stop(broker.loop, &tick);
    db_free(listener);
    db_free(writer);
}

bool link_is_quiet(void)
{
    return state != UP || (db_ready(writer) && !rows_has_work() && !sends_has_work());
}

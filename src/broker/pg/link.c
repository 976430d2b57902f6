/* The host's two connections to the database; see link.h. */
#include "link.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "backoff.h"
#include "broker.h"
#include "exposition.h"
#include "log.h"
#include "position.h"
#include "role.h"
#include "server.h"

static enum {
    DOWN,       /* until the next attempt */
    CONNECTING, /* until both connections are ready */
    ATTACHING,  /* asking for a host number */
    OPENING,    /* making the sessions' rows */
    UP,
} state;

static const struct link_owner *owner_of_link;
static struct db *listener, *writer;
static struct backoff backoff = {.first = 100, .most = 2000};
static struct loop_timer retry;
static bool hopeless;
static int64_t host;
static char tag[CURSOR_TAG];
static int status = -1;
static uint64_t connects, losses, failures; /* in all */

static void report(char what)
{
    if (status >= 0 && write(status, &what, 1) < 0)
        log_warn("reporting to the master: %s", strerror(errno));
}

void link_refused(void *arg)
{
    (void)arg;
    report(ROLE_REFUSED);
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

/* Ends both connections, tells the owner, and sets a timer for the next attempt. */
static void on_connection_down(void *arg)
{
    (void)arg;
    if (state == DOWN)
        return;
    if (state == UP) {
        losses++;
        log_warn("the database is away; reconnecting");
        report(ROLE_DOWN);
    } else {
        failures++;
        if (!hopeless)
            report(ROLE_DOWN);
        hopeless = true;
    }
    state = DOWN;
    host = 0;
    db_close(listener);
    db_close(writer);
    owner_of_link->down();
    loop_timer_set(broker.loop, &retry, backoff_failed(&backoff));
}

bool link_ok(const PGresult *result, const char *what)
{
    if (db_ok(result))
        return true;
    if (result) { /* NULL: the link went down, so there is no answer */
        log_warn("%s failed; connecting anew", what);
        on_connection_down(NULL);
    }
    return false;
}

/* Takes the tag that names the database; false if it is not the same database as before. */
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
    state = OPENING;
    owner_of_link->attached(honoured, db_cursor(result, 0, 3), (uint64_t)db_int(result, 0, 5));
}

static void on_connection_up(void *arg)
{
    (void)arg;
    if (state != CONNECTING || !db_ready(listener) || !db_ready(writer))
        return;
    state = ATTACHING;
    char name[256] = "";
    gethostname(name, sizeof(name) - 1);
    struct db_params p = {0};
    db_param_text(&p, name, strlen(name));
    db_param_int8(&p, (int64_t)position_known().change);
    db_param_int4(&p, (int32_t)position_known().stamp);
    db_run(listener, STATEMENT_HOST_ATTACH, &p, on_attached, NULL);
}

void link_set_up(void)
{
    state = UP;
    connects++;
    hopeless = false;
    backoff_reset(&backoff);
    server_served();
    log_info("the database is up; this is host %lld", (long long)host);
    report(ROLE_UP);
    owner_of_link->up();
}

static struct db *when_free(struct db *db)
{
    return (state == OPENING || state == UP) && db_ready(db) ? db : NULL;
}

struct db *link_listener(void)
{
    return when_free(listener);
}

struct db *link_writer(void)
{
    return when_free(writer);
}

static void on_bell(void *arg, const char *payload)
{
    (void)arg;
    owner_of_link->bell(payload);
}

void link_init(int status_fd, const struct link_owner *hears)
{
    static const struct db_owner connections = {on_connection_up, on_connection_down, on_bell,
                                                link_refused};
    status = status_fd;
    owner_of_link = hears;
    listener = db_new(broker.loop, &broker.conf, "listener", DB_LISTENER, &connections, NULL);
    writer = db_new(broker.loop, &broker.conf, "writer", DB_WRITER, &connections, NULL);
    retry.call = on_retry;
    on_retry(NULL);
}

void link_expose(struct buf *out)
{
    exposition_one(out, "chatd_database_up", EXPOSITION_GAUGE,
                   "Whether the database can be used: 1, or 0.", link_is_up());
    exposition_one(out, "chatd_database_connects_total", EXPOSITION_COUNTER,
                   "Times that the database could be used again, the first time included.",
                   connects);
    exposition_one(out, "chatd_database_losses_total", EXPOSITION_COUNTER,
                   "Times that the connection to the database was lost while it was in use.",
                   losses);
    exposition_one(out, "chatd_database_connect_failures_total", EXPOSITION_COUNTER,
                   "Attempts to connect to the database that have failed.", failures);
}

void link_free(void)
{
    state = DOWN; /* first, so that nothing reconnects */
    loop_timer_stop(broker.loop, &retry);
    db_free(listener);
    db_free(writer);
}

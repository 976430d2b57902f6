/* Begins a connection to the PostgreSQL of the configuration; see server.h. */
#include "server.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf.h"
#include "log.h"

/* Server settings for this connection, whatever the role or the database has. The keepalives are
 * the server's: when the host or its network is gone, they end the backend that stands for the host
 * within seconds. */
#define SESSION_OPTIONS                                                                            \
    "-c statement_timeout=10s -c lock_timeout=0 -c idle_in_transaction_session_timeout=0 "         \
    "-c idle_session_timeout=0 -c search_path=pg_catalog -c timezone=UTC -c datestyle=ISO "        \
    "-c client_min_messages=warning -c standard_conforming_strings=on -c "                         \
    "default_transaction_isolation=read\\ committed "                                              \
    "-c default_transaction_read_only=off -c default_transaction_deferrable=off "                  \
    "-c row_security=on -c jit=off -c plan_cache_mode=auto -c enable_seqscan=on "                  \
    "-c enable_indexscan=on -c enable_indexonlyscan=on -c enable_bitmapscan=on "                   \
    "-c enable_nestloop=on -c enable_hashjoin=on -c enable_sort=on -c enable_hashagg=on "          \
    "-c tcp_keepalives_idle=5 -c tcp_keepalives_interval=2 -c tcp_keepalives_count=3 "             \
    "-c tcp_user_timeout=10000"

enum { PATIENCE_MS = 5000, PATIENCE_MOST_MS = 40000 };

static unsigned turn_now;
static unsigned silences; /* since this host was attached */

unsigned server_turn(void)
{
    return turn_now;
}

void server_silent(unsigned turn)
{
    if (turn != turn_now)
        return;
    turn_now++;
    silences++;
}

void server_served(void)
{
    silences = 0;
}

static unsigned count_of(const char *list)
{
    unsigned count = 1;
    for (; *list; list++)
        count += *list == ',';
    return count;
}

/* A list of values by comma, one for each server or one for all, as libpq takes it; the result
 * begins with the value for the server of this turn. The caller frees it. */
static char *in_turn(const char *list, unsigned turn)
{
    char *turned = xstrdup(list);
    const char *rest = list;
    for (unsigned skip = turn % count_of(list); skip > 0; skip--)
        rest = strchr(rest, ',') + 1;
    if (rest > list)
        snprintf(turned, strlen(list) + 1, "%s,%.*s", rest, (int)(rest - list) - 1, list);
    return turned;
}

int64_t server_patience(const struct conf *conf)
{
    int64_t patience = PATIENCE_MS;
    for (unsigned rounds = silences / count_of(conf->db_host); rounds > 0; rounds--)
        if (patience < PATIENCE_MOST_MS)
            patience *= 2;
    return patience;
}

/* Never shows the password to the server, only proves it, where libpq supports that (since 16). A
 * server that asks for none gets none. */
static const char *require_auth(const struct conf *conf)
{
    static int known = -1;
    if (known < 0) {
        PQconninfoOption *all = PQconndefaults();
        known = 0;
        for (const PQconninfoOption *o = all; o && o->keyword; o++)
            known |= strcmp(o->keyword, "require_auth") == 0;
        PQconninfoFree(all);
    }
    return known && conf->db_password && *conf->db_password ? "scram-sha-256,none" : NULL;
}

PGconn *server_connect(const struct conf *conf, const char *name, unsigned turn)
{
    char application[64];
    snprintf(application, sizeof(application), "chatd %s", name);
    char *hosts = in_turn(conf->db_host, turn);
    char *ports = in_turn(conf->db_port, turn);
    const char *const options[][2] = {
        {"host", hosts},
        {"port", ports},
        {"user", conf->db_user},
        {"password", conf->db_password},
        {"require_auth", require_auth(conf)},
        {"dbname", conf->db_name},
        {"application_name", application},
        {"target_session_attrs", "read-write"},
        {"client_encoding", "UTF8"},
        {"options", SESSION_OPTIONS},
        {"keepalives_idle", "5"},
        {"keepalives_interval", "2"},
        {"keepalives_count", "3"},
        {"tcp_user_timeout", "10000"},
    };
    enum { OPTIONS = sizeof(options) / sizeof(options[0]) };
    /* libpq skips a key without a value, even an unknown one. */
    const char *keys[OPTIONS + 1] = {NULL}, *values[OPTIONS + 1] = {NULL};
    for (size_t i = 0; i < OPTIONS; i++) {
        keys[i] = options[i][0];
        values[i] = options[i][1];
    }
    PGconn *pg = PQconnectStartParams(keys, values, 0);
    if (!pg)
        die("out of memory: PQconnectStartParams");
    free(hosts);
    free(ports);
    return pg;
}

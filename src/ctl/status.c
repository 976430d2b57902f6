/*
 * chatctl status: the servers of this host, by what they say, and the hosts of the service, by what
 * the database says. Either may be away.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "commands.h"
#include "grid.h"
#include "inquiry.h"
#include "owner.h"

enum { SERVERS = 16, WORD = 32, SAMPLE_S = 1 };

/* What a server says, in the order of the columns; rates are made of two answers. */
static const struct value {
    const char *said;
    struct grid_column column;
    bool rate;
} values[] = {
    {"pid", {"server", GRID_NUMBER}, false},
    {"version", {"version", GRID_TEXT}, false},
    {"phase", {"phase", GRID_TEXT}, false},
    {"clients", {"clients", GRID_NUMBER}, false},
    {"online", {"online", GRID_NUMBER}, false},
    {"requests", {"requests", GRID_NUMBER}, false},
    {"spares", {"spares", GRID_NUMBER}, false},
    {"max_clients", {"max_clients", GRID_NUMBER}, false},
    {"deaths", {"deaths", GRID_NUMBER}, false},
    {"database", {"database", GRID_TEXT}, false},
    {"host", {"host", GRID_NUMBER}, false},
    {"behind", {"behind", GRID_BOOL}, false},
    {"waiting", {"waiting", GRID_NUMBER}, false},
    {"stored", {"stored_rate", GRID_NUMBER}, true},
    {"delivered", {"delivered_rate", GRID_NUMBER}, true},
};
enum { VALUES = sizeof(values) / sizeof(values[0]) };

struct server {
    int pid;
    char words[VALUES][WORD]; /* ""; it did not say */
};

struct sample {
    struct server servers[SERVERS];
    int count;
};

static struct sample now, before;

static struct server *server_of(struct sample *s, int pid)
{
    for (int i = 0; i < s->count; i++)
        if (s->servers[i].pid == pid)
            return &s->servers[i];
    if (s->count == SERVERS)
        return NULL;
    s->servers[s->count].pid = pid;
    return &s->servers[s->count++];
}

static void take(int pid, char **words)
{
    struct server *server = server_of(&now, pid);
    for (size_t i = 0; server && words[1] && i < VALUES; i++)
        if (strcmp(words[0], values[i].said) == 0)
            snprintf(server->words[i], WORD, "%s", words[1]);
}

static int look(void)
{
    before = now;
    now = (struct sample){0};
    return inquiry_all("status", take);
}

/* How much more it is a second later; a new broker counts anew. */
static void put_rate(struct grid *g, const struct server *server, size_t i)
{
    const struct server *earlier = server_of(&before, server->pid);
    int64_t there = strtoll(server->words[i], NULL, 10);
    int64_t was = earlier ? strtoll(earlier->words[i], NULL, 10) : there;
    grid_printf(g, "%" PRId64, there >= was ? (there - was) / SAMPLE_S : there);
}

static void put_value(struct grid *g, const struct server *server, size_t i)
{
    const char *word = server->words[i];
    if (!*word)
        grid_put(g, NULL);
    else if (values[i].rate)
        put_rate(g, server, i);
    else if (values[i].column.type == GRID_NUMBER)
        grid_printf(g, "%lld", strtoll(word, NULL, 10));
    else
        grid_put(g, word);
}

static void make_servers(struct grid *g)
{
    struct grid_column columns[VALUES];
    for (size_t i = 0; i < VALUES; i++)
        columns[i] = values[i].column;
    grid_init(g, columns, VALUES);
    for (int row = 0; row < now.count; row++)
        for (size_t i = 0; i < VALUES; i++)
            put_value(g, &now.servers[row], i);
}

#define HOSTS                                                                                      \
    "select h.id as host, h.name, " OWNER_TIME(                                                    \
        "h.started_at") " as started_at, "                                                         \
                        "(select count(*) "                                                        \
                        "from chatd.sessions s where s.host_id = h.id) as online, (select "        \
                        "count(distinct s.user_id) "                                               \
                        "from chatd.sessions s where s.host_id = h.id) as users from chatd.hosts " \
                        "h order by h.id"

#define DATABASE                                                                                   \
    "select current_database() as database, current_setting('server_version') as version, "        \
    "(select max(number) from chatd.schema_version) as schema, "                                   \
    "pg_database_size(current_database()) as bytes, (select count(*) from pg_stat_activity a "     \
    "where a.datname = current_database()) as connections, (select max(id) from chatd.messages) "  \
    "as last_message"

static void print(const struct grid *servers, const struct grid *hosts, const struct grid *database)
{
    const struct grid_part parts[] = {
        {"servers", servers}, {"hosts", hosts}, {"database", database}};
    grid_print_parts(parts, 3, ctl.json);
}

enum ctl_status status_run(char **words)
{
    struct grid servers, hosts = {0}, database = {0};
    char why[512];
    (void)words;
    int answered = look();
    if (answered > 0) {
        nanosleep(&(struct timespec){.tv_sec = SAMPLE_S}, NULL);
        answered = look();
    }
    make_servers(&servers);
    PGconn *pg = owner_try(why, sizeof(why));
    if (pg) {
        owner_grid(&hosts, owner_ask(pg, HOSTS, &(struct owner_texts){{NULL}}));
        owner_grid(&database, owner_ask(pg, DATABASE, &(struct owner_texts){{NULL}}));
        PQfinish(pg);
    }
    print(&servers, pg ? &hosts : NULL, pg ? &database : NULL);
    grid_free(&servers);
    grid_free(&hosts);
    grid_free(&database);
    if (!pg)
        ctl_note("the database: %s", why);
    if (answered == 0)
        inquiry_none();
    return pg ? CTL_DONE : CTL_AWAY;
}

/* The database, as its owner sees it; see owner.h. */
#include "owner.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ctl.h"
#include "log.h"

/* Types of PostgreSQL, by their numbers in pg_type. */
enum { OID_BOOL = 16, OID_INT8 = 20, OID_INT4 = 23, OID_TEXT_ARRAY = 1009 };

/* Server settings for this connection, whatever the role or the database has. */
static const char server_options[] =
    "-c search_path=pg_catalog -c timezone=UTC -c datestyle=ISO -c client_min_messages=warning "
    "-c standard_conforming_strings=on -c statement_timeout=0 -c default_transaction_read_only=off";

static PGconn *connection;

/* What to connect with: NULL leaves it to the variable, or to libpq. */
static const char *setting(enum conf_id id, const char *value, const char *variable)
{
    const char *where = ctl.conf.where[id];
    bool option = where && strcmp(where, "-o") == 0;
    return *value && (option || !getenv(variable)) ? value : NULL;
}

static const char *host(void)
{
    return setting(CONF_K_db_host, ctl.conf.db_host, "PGHOST");
}

static const char *role(void)
{
    return *ctl.owner ? ctl.owner : NULL;
}

const char *owner_database(void)
{
    const char *name = setting(CONF_K_db_name, ctl.conf.db_name, "PGDATABASE");
    return name ? name : getenv("PGDATABASE");
}

/* Whom to be while connecting, or NULL: a local server asks who the user is (peer, in pg_hba.conf),
 * and knows postgres, but hardly root. */
static const struct passwd *superuser(void)
{
    const char *to = host() ? host() : getenv("PGHOST");
    bool local = !to || !*to || *to == '/';
    if (geteuid() != 0 || !local || role() || getenv("PGUSER"))
        return NULL;
    return getpwnam("postgres");
}

static void be(uid_t uid, gid_t gid)
{
    if (setegid(gid) < 0 || seteuid(uid) < 0)
        ctl_fail(CTL_FAILED, "becoming user %d: %s", (int)uid, strerror(errno));
}

static PGconn *connect_as_set(const char *database)
{
    const char *const keys[] = {"host",
                                "port",
                                "user",
                                "dbname",
                                "fallback_application_name",
                                "client_encoding",
                                "connect_timeout",
                                "target_session_attrs",
                                "options",
                                NULL};
    const char *const values[] = {
        host(),         setting(CONF_K_db_port, ctl.conf.db_port, "PGPORT"),
        role(),         database,
        "chatctl",      "UTF8",
        "10",           "read-write",
        server_options, NULL};
    PGconn *pg = PQconnectdbParams(keys, values, 0);
    if (!pg)
        die("out of memory");
    return pg;
}

static PGconn *connect_to(const char *database)
{
    const struct passwd *who = superuser();
    if (!who)
        return connect_as_set(database);
    be(who->pw_uid, who->pw_gid);
    PGconn *pg = connect_as_set(database);
    if (seteuid(0) < 0 || setegid(0) < 0)
        ctl_fail(CTL_FAILED, "becoming root again: %s", strerror(errno));
    return pg;
}

/* libpq's messages have several lines. */
static void one_line(char *out, size_t size, const char *text)
{
    snprintf(out, size, "%s", text);
    size_t n = strlen(out);
    while (n > 0 && out[n - 1] == '\n')
        out[--n] = 0;
    for (char *s = out; *s; s++)
        if (*s == '\n' || *s == '\t')
            *s = ' ';
}

PGconn *owner_try(char *why, size_t size)
{
    PGconn *pg = connect_to(owner_database());
    if (PQstatus(pg) == CONNECTION_OK)
        return pg;
    one_line(why, size, PQerrorMessage(pg));
    PQfinish(pg);
    return NULL;
}

PGconn *owner_connect(const char *database)
{
    PGconn *pg = connect_to(database);
    if (PQstatus(pg) == CONNECTION_OK)
        return pg;
    char why[512];
    one_line(why, sizeof(why), PQerrorMessage(pg));
    PQfinish(pg);
    ctl_fail(CTL_AWAY,
             "the database: %s; say where it is with -o db_host=..., -o db_port=... or PGHOST and "
             "PGPORT, and who owns it with --owner or PGUSER",
             why);
}

PGconn *owner(void)
{
    if (!connection)
        connection = owner_connect(owner_database());
    return connection;
}

static void put_variable(const char *name, const char *value)
{
    if (value && setenv(name, value, 1) < 0)
        die("out of memory");
}

void owner_become(void)
{
    const struct passwd *who = superuser();
    put_variable("PGHOST", host());
    put_variable("PGPORT", setting(CONF_K_db_port, ctl.conf.db_port, "PGPORT"));
    put_variable("PGUSER", role());
    put_variable("PGDATABASE", owner_database());
    put_variable("PGCONNECT_TIMEOUT", "10");
    if (!who)
        return;
    if (initgroups(who->pw_name, who->pw_gid) < 0 || setgid(who->pw_gid) < 0 ||
        setuid(who->pw_uid) < 0)
        ctl_fail(CTL_FAILED, "becoming %s: %s", who->pw_name, strerror(errno));
    put_variable("HOME", who->pw_dir);
}

/* --- statements --- */

/* What the states of SQL mean here, and what to do. */
static const struct {
    const char *state, *remedy;
    enum ctl_status status;
} failures[] = {
    {"P0002", "", CTL_UNKNOWN}, /* no_data_found, as chatd.user_named() raises it */
    {"3F000", "; run chatctl init", CTL_FAILED},
    {"42P01", "; run chatctl init", CTL_FAILED},
    {"42883", "; run chatctl migrate", CTL_FAILED},
    {"42703", "; run chatctl migrate", CTL_FAILED},
    {"42501", "; name the owner of the database with --owner or PGUSER", CTL_FAILED},
};

static void __attribute__((noreturn)) fail_by(const PGconn *pg, const PGresult *result)
{
    const char *state = PQresultErrorField(result, PG_DIAG_SQLSTATE);
    const char *text = PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
    char why[512];
    one_line(why, sizeof(why), text ? text : PQerrorMessage(pg));
    for (size_t i = 0; state && i < sizeof(failures) / sizeof(failures[0]); i++)
        if (strcmp(state, failures[i].state) == 0)
            ctl_fail(failures[i].status, "%s%s", why, failures[i].remedy);
    ctl_fail(PQstatus(pg) == CONNECTION_OK ? CTL_FAILED : CTL_AWAY, "the database: %s", why);
}

PGresult *owner_ask(PGconn *pg, const char *sql, const struct owner_texts *texts)
{
    int count = 0;
    while (count < OWNER_PARAMETERS && texts->p[count])
        count++;
    PGresult *result = PQexecParams(pg, sql, count, NULL, texts->p, NULL, NULL, 0);
    ExecStatusType status = PQresultStatus(result);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
        fail_by(pg, result);
    return result;
}

PGresult *owner_run(const char *sql, const char *first, const char *second)
{
    return owner_ask(owner(), sql, &(struct owner_texts){{first, second}});
}

char *owner_value(const char *sql, const char *first, const char *second)
{
    PGresult *result = owner_run(sql, first, second);
    char *value = xstrdup(PQntuples(result) > 0 ? PQgetvalue(result, 0, 0) : "");
    PQclear(result);
    return value;
}

void owner_begin(void)
{
    PQclear(owner_run("begin", NULL, NULL));
    PQclear(owner_run("lock table chatd.change_lock in share update exclusive mode", NULL, NULL));
}

void owner_commit(void)
{
    PQclear(owner_run("commit", NULL, NULL));
}

/* --- rows --- */

static enum grid_type type_of(Oid type)
{
    switch (type) {
    case OID_BOOL:
        return GRID_BOOL;
    case OID_INT4:
    case OID_INT8:
        return GRID_NUMBER;
    case OID_TEXT_ARRAY:
        return GRID_LIST;
    default:
        return GRID_TEXT;
    }
}

/* "{ann,bob}" as a list; names have nothing that an array would put in quotes. */
static void put_list(struct grid *g, const char *array)
{
    size_t n = strlen(array);
    char *list = n >= 2 ? xstrndup(array + 1, n - 2) : xstrdup("");
    for (char *s = list; *s; s++)
        if (*s == ',')
            *s = '\n';
    grid_put(g, list);
    free(list);
}

static void put_rows(struct grid *g, const PGresult *result)
{
    int columns = PQnfields(result), rows = PQntuples(result);
    for (int cell = 0; cell < rows * columns; cell++) {
        int row = cell / columns, column = cell % columns;
        const char *text = PQgetvalue(result, row, column);
        if (PQgetisnull(result, row, column))
            grid_put(g, NULL);
        else if (g->types[column] == GRID_LIST)
            put_list(g, text);
        else
            grid_put(g, text);
    }
}

void owner_grid(struct grid *g, PGresult *result)
{
    int width = PQnfields(result);
    struct grid_column *columns = xcalloc((size_t)width, sizeof(*columns));
    for (int i = 0; i < width; i++)
        columns[i] = (struct grid_column){PQfname(result, i), type_of(PQftype(result, i))};
    grid_init(g, columns, (size_t)width);
    free(columns);
    put_rows(g, result);
    PQclear(result);
}

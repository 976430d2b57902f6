/* What doctor looks at in the database. */
#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "buf.h"
#include "ctl.h"
#include "finding.h"
#include "migrations.h"
#include "owner.h"
#include "places.h"

enum { OLDEST = 150000, CLOCK_S = 2 };

/* --- the server and its settings --- */

static void check_version(const PGconn *pg)
{
    const char *text = PQparameterStatus(pg, "server_version");
    if (PQserverVersion(pg) >= OLDEST)
        finding_good("version", "PostgreSQL %s", text);
    else
        finding_bad("version", "upgrade PostgreSQL to 15 or newer", "PostgreSQL %s", text);
}

static void check_encoding(const PGconn *pg)
{
    const char *encoding = PQparameterStatus(pg, "server_encoding");
    if (strcmp(encoding, "UTF8") == 0)
        finding_good("encoding", "UTF8");
    else
        finding_bad("encoding",
                    "make another database, as chatctl init does, and name it in db_name",
                    "%s: texts in other scripts cannot be stored", encoding);
}

/* The durability of what was acknowledged. */
static void check_durability(void)
{
    char *off = owner_value("select string_agg(name, ', ' order by name) from pg_settings where "
                            "name in ('fsync', 'full_page_writes', 'synchronous_commit') and "
                            "setting = 'off'",
                            NULL, NULL);
    if (*off)
        finding_bad("durability", "turn them on in postgresql.conf, and reload it",
                    "off: %s; a crash can lose acknowledged messages, or all", off);
    else
        finding_good("durability", "fsync, full_page_writes and synchronous_commit are on");
    free(off);
}

#define CONNECTIONS                                                                                \
    "select current_setting('max_connections')::int - "                                            \
    "current_setting('superuser_reserved_connections')::int, (select count(*) from "               \
    "pg_stat_activity where backend_type = 'client backend' and application_name not like "        \
    "'chatd %' and pid <> pg_backend_pid()), greatest(1, (select count(*) from chatd.hosts))"

static void check_connections(void)
{
    PGresult *result = owner_run(CONNECTIONS, NULL, NULL);
    int room = atoi(PQgetvalue(result, 0, 0)), others = atoi(PQgetvalue(result, 0, 1));
    int hosts = atoi(PQgetvalue(result, 0, 2)), each = 2 + ctl.conf.db_readers;
    PQclear(result);
    if (hosts * each + others <= room)
        finding_good("max_connections", "%d; %d for each of %d hosts, %d are others'", room, each,
                     hosts, others);
    else
        finding_bad("max_connections",
                    "raise max_connections in postgresql.conf, or lower db_readers",
                    "%d; %d hosts need %d each, and %d are others'", room, hosts, each, others);
}

static void check_clock(void)
{
    time_t before = time(NULL);
    char *theirs =
        owner_value("select floor(extract(epoch from clock_timestamp()))::bigint", NULL, NULL);
    long long there = atoll(theirs), after = (long long)time(NULL);
    free(theirs);
    long long difference = there < before ? there - before : there > after ? there - after : 0;
    if (difference >= -CLOCK_S && difference <= CLOCK_S)
        finding_good("clock", "within %d s of the database's", CLOCK_S);
    else
        finding_bad("clock", "let both hosts follow a time server", "the database's is %lld s %s",
                    llabs(difference), difference > 0 ? "ahead" : "behind");
}

/* --- the schema --- */

static int missing, other, newer;
static bool stop; /* chatd, for those that are missing */

static void take(char *line)
{
    missing += strstr(line, " missing") != NULL;
    other += strstr(line, " changed ") || strstr(line, " unknown ");
    newer += strstr(line, " is newer ") != NULL;
    stop |= strncmp(line, "chatd must be stopped", 21) == 0;
}

static bool check_schema(void)
{
    missing = other = newer = 0;
    stop = false;
    int status = migrations_run(true, NULL, take);
    if (status == 0 && newer > 0)
        finding_good("schema", "%d migrations newer than this version, which can use it", newer);
    else if (status == 0)
        finding_good("schema", "up to date");
    else if (other > 0)
        finding_bad("schema", "use the chatd that belongs to this database: chatctl migrate -n",
                    "%d migrations are not those of this version", other);
    else if (missing > 0)
        finding_bad("schema",
                    stop ? "stop chatd on every host, and run chatctl migrate"
                         : "run chatctl migrate, while chatd runs or not",
                    "%d migrations are missing", missing);
    else
        finding_bad("schema", "see what chatctl migrate -n says", "it cannot be read");
    return status == 0;
}

/* --- what is left behind --- */

#define DEAD_ROWS                                                                                  \
    "select s.relname, s.n_dead_tup, s.n_live_tup from pg_stat_user_tables s where s.schemaname "  \
    "= 'chatd' and s.n_dead_tup > 50000 and s.n_dead_tup > s.n_live_tup order by s.n_dead_tup "    \
    "desc limit 1"

static void check_vacuum(void)
{
    PGresult *result = owner_run(DEAD_ROWS, NULL, NULL);
    if (PQntuples(result) == 0)
        finding_good("vacuum", "no table has more dead rows than others");
    else
        finding_bad("vacuum",
                    "run vacuum on it, and see that autovacuum is on; while an old transaction is "
                    "open, neither removes them",
                    "chatd.%s has %s dead rows beside %s others", PQgetvalue(result, 0, 0),
                    PQgetvalue(result, 0, 1), PQgetvalue(result, 0, 2));
    PQclear(result);
}

/* That of pg_dump is long, too, and as much in the way. */
#define OLD_TRANSACTION                                                                            \
    "select a.pid, a.usename, floor(extract(epoch from now() - a.xact_start) / 60)::int from "     \
    "pg_stat_activity a where a.backend_type = 'client backend' and a.datname = "                  \
    "current_database() and a.xact_start < now() - interval '1 hour' order by a.xact_start limit " \
    "1"

static void check_transactions(void)
{
    PGresult *result = owner_run(OLD_TRANSACTION, NULL, NULL);
    if (PQntuples(result) == 0)
        finding_good("transactions", "none is open for more than an hour");
    else
        finding_bad("transactions", "end it, if need be by select pg_terminate_backend(PID)",
                    "that of %s, PID %s, is open for %s minutes, and no table is vacuumed behind "
                    "it",
                    PQgetvalue(result, 0, 1), PQgetvalue(result, 0, 0), PQgetvalue(result, 0, 2));
    PQclear(result);
}

/* --- the role --- */

#define ROLE                                                                                       \
    "select r.rolcanlogin, r.rolsuper or r.rolbypassrls or r.rolcreaterole or r.rolcreatedb or "   \
    "r.rolreplication, has_database_privilege(r.oid, current_database(), 'connect') and "          \
    "has_schema_privilege(r.oid, 'chatd_api', 'usage') and not exists (select from pg_proc p "     \
    "where p.pronamespace = 'chatd_api'::regnamespace and not has_function_privilege(r.oid, "      \
    "p.oid, 'execute')), exists (select from pg_class c where c.relnamespace = "                   \
    "'chatd'::regnamespace and c.relkind = 'r' and has_table_privilege(r.oid, c.oid, 'select, "    \
    "insert, update, delete')), exists (select from pg_db_role_setting s where s.setrole in (0, "  \
    "r.oid) and 'session_replication_role=replica' = any (s.setconfig)) from pg_roles r where "    \
    "r.rolname = $1"

static void judge_role(const PGresult *result)
{
    static const struct {
        const char *wanted, *fault, *remedy;
    } rules[] = {
        {"t", "it may not log in", "alter role NAME login"},
        {"f", "it has more rights than it needs: a superuser's, or to make roles or databases",
         "alter role NAME nosuperuser nocreaterole nocreatedb noreplication nobypassrls"},
        {"t", "it may not call all functions of chatd_api", "run chatctl init"},
        {"f", "it may read or write tables of the schema chatd", "run chatctl init"},
        {"f", "session_replication_role is set for it, so that no trigger runs",
         "alter role NAME reset session_replication_role; the same for the database"},
    };
    bool good = true;
    for (int i = 0; i < (int)(sizeof(rules) / sizeof(rules[0])); i++) {
        if (strcmp(PQgetvalue(result, 0, i), rules[i].wanted) == 0)
            continue;
        finding_bad("role", rules[i].remedy, "%s: %s", ctl.conf.db_user, rules[i].fault);
        good = false;
    }
    if (good)
        finding_good("role", "%s may call the functions of chatd_api, and nothing else",
                     ctl.conf.db_user);
}

static void check_role(void)
{
    PGresult *result = owner_run(ROLE, ctl.conf.db_user, NULL);
    if (PQntuples(result) > 0)
        judge_role(result);
    else
        finding_bad("role", "run chatctl init", "there is no role %s", ctl.conf.db_user);
    PQclear(result);
}

/* --- connecting as chatd does --- */

static void read_password(void)
{
    struct conf_error e = {""};
    if (*ctl.conf.db_password_file && !*ctl.conf.db_password &&
        conf_read_password(&ctl.conf, ctl.conf.db_password_file, &e) < 0)
        finding_bad("db_password_file", "correct it, or run chatctl init", "%s", e.text);
}

static PGconn *connect_as_chatd(void)
{
    const struct conf *c = &ctl.conf;
    const char *const keys[] = {"host", "port", "user", "password", "dbname", "connect_timeout",
                                NULL};
    const char *const values[] = {c->db_host, c->db_port, c->db_user, c->db_password,
                                  c->db_name, "10",       NULL};
    return PQconnectdbParams(keys, values, 0);
}

/* The broker connects as the user that it runs as, which a local server may ask for. */
static void check_login(void)
{
    const struct passwd *who = geteuid() == 0 ? getpwnam(ctl.conf.user) : NULL;
    read_password();
    if (who && seteuid(who->pw_uid) < 0)
        ctl_fail(CTL_FAILED, "becoming %s: %s", ctl.conf.user, strerror(errno));
    PGconn *pg = connect_as_chatd();
    if (who && seteuid(0) < 0)
        ctl_fail(CTL_FAILED, "becoming root again: %s", strerror(errno));
    if (PQstatus(pg) == CONNECTION_OK)
        finding_good("login", "%s can connect to %s", ctl.conf.db_user, ctl.conf.db_name);
    else
        finding_bad("login",
                    "check db_host, db_port and the password, and what pg_hba.conf says of it",
                    "%.*s", (int)strcspn(PQerrorMessage(pg), "\n"), PQerrorMessage(pg));
    PQfinish(pg);
}

void doctor_database(void)
{
    char why[512];
    PGconn *pg = owner_try(why, sizeof(why));
    if (!pg) {
        finding_bad("database",
                    "start PostgreSQL, or say where it is (db_host, db_port, PGHOST) and who owns "
                    "the database (--owner, PGUSER); chatctl init makes it",
                    "%s", why);
        return;
    }
    finding_good("database", "%s", PQdb(pg));
    check_version(pg);
    check_encoding(pg);
    PQfinish(pg);
    check_durability();
    check_vacuum();
    check_transactions();
    check_clock();
    check_login();
    if (check_schema()) {
        check_role();
        check_connections();
    }
}

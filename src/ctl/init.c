/*
 * chatctl init: all that chatd needs before its first start, or what is missing of it.
 *
 * First the database is asked, then files are made, then the database is: so a run that fails, or
 * dies at any line, leaves nothing that the next one does not take up.
 */
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "commands.h"
#include "done.h"
#include "migrations.h"
#include "owner.h"
#include "secrets.h"

static PGconn *maintenance;

static bool exists(const char *sql, const char *name)
{
    PGresult *result = owner_ask(maintenance, sql, &(struct owner_texts){{name}});
    bool found = PQntuples(result) > 0;
    PQclear(result);
    return found;
}

/* The hosts of one service share their secrets. New ones here would shut out the others. */
static void refuse_second_host(void)
{
    if (!ctl.new_secrets && !secrets_there() &&
        exists("select from pg_roles where rolname = $1", ctl.conf.db_user))
        ctl_fail(CTL_FAILED,
                 "the role %s is there already, but not its password, or the token key: copy both "
                 "from the host that has them, or make new ones with --new-secrets, which shuts "
                 "out other hosts and voids all tokens",
                 ctl.conf.db_user);
}

/* The lines of migrate that say what is new; init does not list what was there before. */
static void take(char *line)
{
    size_t n = strcspn(line, " ");
    bool file = strncmp(line + n - (n > 4 ? 4 : n), ".sql", 4) == 0;
    line[n] = 0;
    if (file)
        done_put("migration", line, "%s", line + n + 1);
    else if (strcmp(line, "role") == 0)
        done_put("role", ctl.conf.db_user, "made");
}

static void make_database(void)
{
    const char *name = owner_database();
    if (exists("select from pg_database where datname = $1", name)) {
        done_put("database", name, "kept");
        return;
    }
    char *quoted = PQescapeIdentifier(maintenance, name, strlen(name));
    struct buf sql = BUF_INIT;
    buf_printf(&sql, "create database %s encoding 'UTF8' template template0%c", quoted, 0);
    PQclear(owner_ask(maintenance, (const char *)buf_head(&sql), &(struct owner_texts){{NULL}}));
    PQfreemem(quoted);
    buf_free(&sql);
    done_put("database", name, "made, with encoding UTF8");
}

enum ctl_status init_run(char **words)
{
    (void)words;
    if (!*ctl.file)
        ctl_fail(CTL_USAGE, "chatctl is not installed, so name the configuration with -f");
    maintenance = owner_connect("postgres");
    refuse_second_host();
    secrets_make();
    make_database();
    struct buf password = BUF_INIT;
    secrets_password(&password);
    int status = migrations_run(false, (const char *)buf_head(&password), take);
    buf_wipe(&password);
    PQfinish(maintenance);
    if (status == 0) {
        done_put("role", ctl.conf.db_user, "has the password of the configuration, and its rights");
        done_put("database", owner_database(), "up to date");
    }
    done_end();
    return status ? CTL_FAILED : CTL_DONE;
}

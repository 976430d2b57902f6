/* chatctl migrate: the schema as this version of chatd wants it. */
#include <string.h>

#include "commands.h"
#include "done.h"
#include "migrations.h"
#include "owner.h"

/* "chatd may run on: …" or "chatd must be stopped first, …"; "0001_users.sql applied"; "role chatd
 * created"; "up to date at 0029_compatible.sql". */
static void take(char *line)
{
    char *name = line, *rest;
    const char *what = "migration";
    if (strncmp(line, "up to date", 10) == 0) {
        done_put("database", owner_database(), "%s", line);
        return;
    }
    if (strncmp(line, "chatd ", 6) == 0)
        what = "program";
    if (strncmp(line, "role ", 5) == 0) {
        what = "role";
        name += 5;
    }
    rest = name + strcspn(name, " ");
    if (*rest)
        *rest++ = 0;
    done_put(what, name, "%s", rest);
}

enum ctl_status migrate_run(char **words)
{
    (void)words;
    PQfinish(owner_connect(owner_database())); /* says better than psql what is wrong */
    int status = migrations_run(ctl.dry_run, NULL, take);
    done_end();
    return status ? CTL_FAILED : CTL_DONE;
}

/*
 * chatctl retention: how long messages are kept.
 *
 * The database has it, one time for all and others for conversations; chatd removes what is older,
 * see retention.h. Setting it takes no change lock: who removes has that last.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "commands.h"
#include "done.h"
#include "grid.h"
#include "owner.h"

enum { MAX_DAYS = 36500 };

/* How many messages are older than that, in all conversations without days of their own, or in one.
 */
#define OVER(days)                                                                                 \
    "(select count(*) from chatd.messages m join chatd.conversations s on s.id = "                 \
    "m.conversation_id where s.days is null and chatd.is_over(m.created_at, " days "))"
#define OVER_IN(room, days)                                                                        \
    "(select count(*) from chatd.messages m where m.conversation_id = " room                       \
    " and chatd.is_over(m.created_at, nullif(" days ", 0)))"

enum ctl_status retention_show(char **words)
{
    (void)words;
    char after[24], limit[24];
    snprintf(after, sizeof(after), "%" PRId64, ctl.after);
    snprintf(limit, sizeof(limit), "%" PRId64, ctl.limit);
    PGresult *result = owner_run(
        "select null::bigint as room, null as name, r.days, " OVER(
            "r.days") " as over "
                      "from chatd.retention r where $1::bigint = 0 union all (select c.id, c.name, "
                      "c.days, " OVER_IN("c.id",
                                         "c.days") " from chatd.conversations c where c.days is "
                                                   "not null and c.id > $1::bigint order by c.id "
                                                   "limit $2::bigint) order by room nulls first",
        after, limit);
    int rows = PQntuples(result);
    if (rows - (ctl.after == 0) == ctl.limit && ctl.limit > 0)
        ctl_note("there may be more: --after %s", PQgetvalue(result, rows - 1, 0));
    struct grid g;
    owner_grid(&g, result);
    grid_print(&g, ctl.json);
    grid_free(&g);
    return CTL_DONE;
}

/* As the database has it: a number of days; "" for null. */
static const char *days_of(const char *word)
{
    bool room = *ctl.room;
    if (strcmp(word, "forever") == 0)
        return room ? "0" : "";
    if (room && strcmp(word, "default") == 0)
        return "";
    size_t n = strlen(word);
    long days = n > 0 && n < 6 && strspn(word, "0123456789") == n ? strtol(word, NULL, 10) : 0;
    if (days < 1 || days > MAX_DAYS)
        ctl_fail(CTL_USAGE, "\"%s\" is no time to keep messages: 1 to %d days, \"forever\"%s", word,
                 MAX_DAYS, room ? ", or \"default\"" : "; \"default\" needs --room");
    return word;
}

static void preview(const char *days)
{
    char *count =
        *ctl.room ? owner_value(
                        "select " OVER_IN(
                            "c.id",
                            "coalesce(nullif($2, '')::int, r.days)") " from chatd.conversations c "
                                                                     "cross join chatd.retention r "
                                                                     "where c.id = $1::bigint",
                        ctl.room, days)
                  : owner_value("select " OVER("nullif($1, '')::int"), days, NULL);
    if (!*count)
        ctl_fail(CTL_UNKNOWN, "there is no conversation %s", ctl.room);
    done_put("messages", count, "would be removed");
    free(count);
}

static void set(const char *days)
{
    char *room =
        *ctl.room ? owner_value("update chatd.conversations set days = nullif($2, '')::int where "
                                "id = $1::bigint returning id",
                                ctl.room, days)
                  : owner_value("update chatd.retention set days = nullif($1, '')::int returning "
                                "'all'",
                                days, NULL);
    if (!*room)
        ctl_fail(CTL_UNKNOWN, "there is no conversation %s", ctl.room);
    free(room);
}

enum ctl_status retention_set(char **words)
{
    if (*ctl.room && (strlen(ctl.room) > 18 || strspn(ctl.room, "0123456789") != strlen(ctl.room)))
        ctl_fail(CTL_USAGE,
                 "--room: \"%s\" is no id of a conversation; chatctl room list shows them",
                 ctl.room);
    const char *days = days_of(words[0]);
    if (ctl.dry_run) {
        preview(days);
    } else {
        set(days);
        const char *how = strcmp(words[0], "default") == 0 ? "as all are" : words[0];
        done_put(*ctl.room ? "room" : "retention", *ctl.room ? ctl.room : "all", "kept %s%s", how,
                 *days && strcmp(days, "0") != 0 ? " days" : "");
    }
    done_end();
    return CTL_DONE;
}

/*
 * chatctl room: conversations.
 *
 * Their kinds are what the schema has: a name is shown where conversations have one. Of a message
 * nothing is shown but when it came.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "askpass.h"
#include "commands.h"
#include "done.h"
#include "grid.h"
#include "owner.h"

/* Columns that a schema of an earlier number has not. Who has left has an end. */
#define NAME    "to_jsonb(c) ->> 'name'"
#define STAYS   "to_jsonb(m) ->> 'until' is null"
#define MEMBERS "m.conversation_id = c.id and " STAYS

#define ROOM                                                                                       \
    "select c.id, c.kind, " NAME " as name, array(select u.username from chatd.members m join "    \
    "chatd.users u on u.id = m.user_id where " MEMBERS " order by u.id limit 100) as members, "    \
    "(select count(*) from chatd.members m where " MEMBERS                                         \
    ") as member_count, (select " OWNER_TIME(                                                      \
        "m.created_at") " from chatd.messages m where m.conversation_id = "                        \
                        "c.id order by "                                                           \
                        "m.id desc limit 1) as last_message, " OWNER_TIME(                         \
                            "c.created_at") " as created_at"

#define OF                                                                                         \
    "where c.id in (select m.conversation_id from chatd.members m where m.user_id = $3::bigint "   \
    "and " STAYS ") and "

static bool is_number(const char *text)
{
    size_t n = strlen(text);
    return n > 0 && n <= 18 && strspn(text, "0123456789") == n;
}

enum ctl_status rooms_list(char **words)
{
    char after[24], limit[24];
    snprintf(after, sizeof(after), "%" PRId64, ctl.after);
    snprintf(limit, sizeof(limit), "%" PRId64, ctl.limit);
    char *user = words[0] ? owner_value("select chatd.user_named($1)", words[0], NULL) : NULL;
    struct owner_texts texts = {{after, limit, user}};
    PGresult *result = owner_ask(
        owner(),
        user ? ROOM " from chatd.conversations c " OF
                    "c.id > $1::bigint order by c.id limit $2::bigint"
             : ROOM
            " from chatd.conversations c where c.id > $1::bigint order by c.id limit $2::bigint",
        &texts);
    free(user);
    int rows = PQntuples(result);
    if (rows > 0 && rows == ctl.limit)
        ctl_note("there may be more: --after %s", PQgetvalue(result, rows - 1, 0));
    struct grid g;
    owner_grid(&g, result);
    grid_print(&g, ctl.json);
    grid_free(&g);
    return CTL_DONE;
}

static PGresult *room(const char *id)
{
    if (!is_number(id))
        ctl_fail(CTL_USAGE, "\"%s\" is no id of a conversation; chatctl room list shows them", id);
    PGresult *result = owner_run(
        ROOM ", (select count(*) from chatd.messages m where m.conversation_id = c.id) as messages "
             "from chatd.conversations c where c.id = $1::bigint",
        id, NULL);
    if (PQntuples(result) == 0)
        ctl_fail(CTL_UNKNOWN, "there is no conversation %s", id);
    return result;
}

enum ctl_status rooms_show(char **words)
{
    struct grid g;
    owner_grid(&g, room(words[0]));
    grid_print_one(&g, ctl.json);
    grid_free(&g);
    return CTL_DONE;
}

static const char *const deletions[] = {
    "delete from chatd.earlier_texts where message_id in (select m.id from chatd.messages m where "
    "m.conversation_id = $1::bigint)",
    "delete from chatd.messages where conversation_id = $1::bigint",
    "delete from chatd.contacts where conversation_id = $1::bigint and user_id in (select "
    "m.user_id from chatd.members m where m.conversation_id = $1::bigint)",
    "delete from chatd.conversations where id = $1::bigint",
};

enum ctl_status rooms_delete(char **words)
{
    char question[128];
    PGresult *result = room(words[0]);
    snprintf(question, sizeof(question), "Delete conversation %s and its %s messages for good?",
             words[0], PQgetvalue(result, 0, PQfnumber(result, "messages")));
    PQclear(result);
    if (!askpass_agreed(question))
        ctl_fail(CTL_FAILED, "nothing was deleted; --yes agrees without a terminal");
    owner_begin();
    for (size_t i = 0; i < sizeof(deletions) / sizeof(deletions[0]); i++)
        PQclear(owner_run(deletions[i], words[0], NULL));
    owner_commit();
    done_put("room", words[0], "deleted");
    done_end();
    return CTL_DONE;
}

/*
 * chatctl user: accounts, as the owner of the database changes them.
 *
 * Plain statements and the functions that the schema has for them: the triggers tell every host, so
 * that connections of a user who is disabled, logged out or deleted end at once.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "askpass.h"
#include "bcrypt.h"
#include "commands.h"
#include "done.h"
#include "email.h"
#include "grid.h"
#include "owner.h"

#define NAMED "lower(u.username collate \"C\") = lower($1 collate \"C\")"

#define ONLINE "exists (select from chatd.sessions s where s.user_id = u.id)"

#define LIST                                                                                       \
    "select u.id, u.username, u.display_name, u.email, btrim(chatd.json_time(u.created_at), "      \
    "'\"') as created_"                                                                            \
    "at, " OWNER_TIME("u.last_seen") " as last_seen, u.disabled, " ONLINE " as online from "       \
                                     "chatd.users u "

/* No name has a character above 'z'. */
#define BEGINS                                                                                     \
    "where lower(u.username collate \"C\") >= lower($3 collate \"C\") and lower(u.username "       \
    "collate "                                                                                     \
    "\"C\") < lower($3 collate \"C\") || '~' "

enum ctl_status users_list(char **words)
{
    char after[24], limit[24];
    snprintf(after, sizeof(after), "%" PRId64, ctl.after);
    snprintf(limit, sizeof(limit), "%" PRId64, ctl.limit);
    struct owner_texts texts = {{after, limit, words[0]}};
    PGresult *result =
        owner_ask(owner(),
                  words[0] ? LIST BEGINS "and u.id > $1::bigint order by u.id limit $2::bigint"
                           : LIST "where u.id > $1::bigint order by u.id limit $2::bigint",
                  &texts);
    int rows = PQntuples(result);
    if (rows > 0 && rows == ctl.limit)
        ctl_note("there may be more: --after %s", PQgetvalue(result, rows - 1, 0));
    struct grid g;
    owner_grid(&g, result);
    grid_print(&g, ctl.json);
    grid_free(&g);
    return CTL_DONE;
}

/* A conversation that the user has left has an end, in a column that a schema of an earlier number
 * has not. */
#define SHOW                                                                                       \
    "select u.id, u.username, u.display_name, u.email, btrim(chatd.json_time(u.created_at), "      \
    "'\"') as created_"                                                                            \
    "at, " OWNER_TIME("u.last_seen") " as last_seen, u.disabled, " OWNER_TIME(                     \
        "u.revoked_at") " as "                                                                     \
                        "revoked_at, chatd.bcrypt_cost(u.password_hash) as bcrypt_cost, (select "  \
                        "count(*) from "                                                           \
                        "chatd.messages m where m.sender_id = u.id) as messages, (select "         \
                        "count(*) from chatd.members "                                             \
                        "m where m.user_id = u.id and to_jsonb(m) ->> 'until' is null) as "        \
                        "conversations, (select count(*) from "                                    \
                        "chatd.blocks b where "                                                    \
                        "b.user_id = u.id and b.blocked_at is not null) as blocks, (select "       \
                        "count(*) from "                                                           \
                        "chatd.sessions s where s.user_id = u.id) as connections, array(select "   \
                        "distinct h.name from "                                                    \
                        "chatd.sessions s join chatd.hosts h on h.id = s.host_id where s.user_id " \
                        "= u.id) as hosts "                                                        \
                        "from chatd.users u where " NAMED

static void __attribute__((noreturn)) nobody(const char *name)
{
    ctl_fail(CTL_UNKNOWN, "there is no user \"%s\"", name);
}

enum ctl_status users_show(char **words)
{
    PGresult *result = owner_run(SHOW, words[0], NULL);
    if (PQntuples(result) == 0)
        nobody(words[0]);
    struct grid g;
    owner_grid(&g, result);
    grid_print_one(&g, ctl.json);
    grid_free(&g);
    return CTL_DONE;
}

/* Asks for the password and hashes it, as chatd-auth would. */
static void ask_hash(const char *whose, char hash[BCRYPT_HASH_SIZE])
{
    struct buf password = BUF_INIT;
    askpass_new(&password, whose, ctl.conf.min_password);
    bcrypt_init(ctl.conf.bcrypt_cost, conf_bcrypt_most(&ctl.conf));
    if (!bcrypt_hash((const char *)buf_head(&password), buf_len(&password), hash))
        ctl_fail(CTL_FAILED, "the password cannot be hashed: crypt(3) has failed");
    buf_wipe(&password);
}

/* What chatd_api.user_register() answers. */
static void check_registered(const char *status, const char *name)
{
    if (strcmp(status, "username_taken") == 0)
        ctl_fail(CTL_FAILED, "the name \"%s\" is taken; choose another", name);
    if (strcmp(status, "email_taken") == 0)
        ctl_fail(CTL_FAILED, "--email: %s is another user's; choose another", ctl.email);
    if (strcmp(status, "ok") != 0)
        ctl_fail(
            CTL_FAILED,
            "a name has 1 to 32 letters, digits, dots, underscores and hyphens; \"%s\" is none",
            name);
}

enum ctl_status users_add(char **words)
{
    if (!*ctl.email || !email_fits(ctl.email, strlen(ctl.email)))
        ctl_fail(CTL_USAGE, "--email must give an address such as name@example.com, at most 254 "
                            "bytes");
    char *status = owner_value("select chatd_api.user_available($1, $2)", words[0], ctl.email);
    check_registered(status, words[0]);
    free(status);
    char hash[BCRYPT_HASH_SIZE];
    ask_hash(words[0], hash);
    PGresult *result =
        owner_ask(owner(), "select status, user_id from chatd_api.user_register($1, $2, $3)",
                  &(struct owner_texts){{words[0], ctl.email, hash}});
    check_registered(PQgetvalue(result, 0, 0), words[0]);
    done_put("user", words[0], "added, id %s", PQgetvalue(result, 0, 1));
    PQclear(result);
    done_end();
    return CTL_DONE;
}

/* The user's id, for free(3). */
static char *id_of(const char *name)
{
    return owner_value("select chatd.user_named($1)", name, NULL);
}

enum ctl_status users_password(char **words)
{
    char hash[BCRYPT_HASH_SIZE], *id = id_of(words[0]);
    ask_hash(words[0], hash);
    PQclear(owner_run("update chatd.users set password_hash = $2 where id = $1::bigint", id, hash));
    free(id);
    done_put("user", words[0], "has a new password; earlier tokens are void");
    done_end();
    return CTL_DONE;
}

static enum ctl_status revoke(const char *sql, const char *name, const char *done)
{
    PQclear(owner_run(sql, name, NULL));
    done_put("user", name, "%s", done);
    done_end();
    return CTL_DONE;
}

enum ctl_status users_disable(char **words)
{
    return revoke("select chatd.user_disable($1)", words[0], "disabled; connections end");
}

enum ctl_status users_enable(char **words)
{
    return revoke("select chatd.user_enable($1)", words[0], "enabled; earlier tokens stay void");
}

enum ctl_status users_logout(char **words)
{
    return revoke("select chatd.user_logout($1)", words[0],
                  "logged out; every token is void, connections end");
}

/* --- delete --- */

/* A conversation of two needs both of them. In others the user's own messages go. In this order, as
 * the tables refer to each other; $1 is the user's id. */
static const char *const deletions[] = {
    "create temporary table gone_conversations on commit drop as select distinct "
    "c.conversation_id as id from chatd.contacts c where c.user_id = $1::bigint",
    "create temporary table gone_messages on commit drop as select m.id from chatd.messages m "
    "where m.conversation_id in (select id from gone_conversations) or m.sender_id = $1::bigint",
    "delete from chatd.earlier_texts where message_id in (select id from gone_messages)",
    "delete from chatd.messages where id in (select id from gone_messages)",
    "delete from chatd.contacts where user_id = $1::bigint or (contact_id = $1::bigint and user_id "
    "in (select m.user_id from chatd.members m where m.conversation_id in (select id from "
    "gone_conversations)))",
    "delete from chatd.conversations where id in (select id from gone_conversations)",
};

#define HAS                                                                                        \
    "select (select count(*) from chatd.contacts where user_id = $1::bigint), (select count(*) "   \
    "from chatd.messages where sender_id = $1::bigint)"

static void agree(const char *name, const char *id)
{
    char question[256];
    PGresult *result = owner_run(HAS, id, NULL);
    const char *contacts = PQgetvalue(result, 0, 0), *messages = PQgetvalue(result, 0, 1);
    bool some = strcmp(contacts, "0") != 0 || strcmp(messages, "0") != 0;
    if (some && !ctl.conversations)
        ctl_fail(
            CTL_FAILED,
            "%s has %s conversations of two and %s messages: with --conversations they are deleted "
            "as well, for the others too; to keep them: chatctl user disable %s",
            name, contacts, messages, name);
    snprintf(question, sizeof(question),
             "Delete %s, %s conversations of two and %s messages for good?", name, contacts,
             messages);
    PQclear(result);
    if (!askpass_agreed(question))
        ctl_fail(CTL_FAILED, "nothing was deleted; --yes agrees without a terminal");
}

enum ctl_status users_delete(char **words)
{
    char *id = id_of(words[0]);
    agree(words[0], id);
    PQclear(owner_run("set search_path = pg_temp, pg_catalog", NULL, NULL));
    owner_begin();
    for (size_t i = 0; ctl.conversations && i < sizeof(deletions) / sizeof(deletions[0]); i++)
        PQclear(owner_run(deletions[i], strstr(deletions[i], "$1") ? id : NULL, NULL));
    PQclear(owner_run("delete from chatd.users where id = $1::bigint", id, NULL));
    owner_commit();
    free(id);
    done_put("user", words[0], "deleted; connections end");
    done_end();
    return CTL_DONE;
}

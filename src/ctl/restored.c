/*
 * chatctl restored: what has to be done to a database that a backup was restored to, before chatd
 * uses it.
 *
 * The database has gone back, and clients have not: they know cursors, ids and tokens that were
 * given out since the backup. Without this the database would give the same numbers to other
 * things. A change of a message, or of a group, has no stamp of its own in a cursor, so one that
 * was lost could be taken for another. And a token that was void would be good again.
 */
#include <stdlib.h>

#include "commands.h"
#include "done.h"
#include "owner.h"

/* By so much every sequence that clients see goes forward: more than was given out since the
 * backup. At ten thousand a second it takes a day. */
#define SKIP "1000000000"

#define CONNECTED                                                                                  \
    "select count(*) from pg_stat_activity where datname = current_database() and "                \
    "application_name like 'chatd %'"

/* A broker that goes on would know changes that are not there. */
static void refuse_while_used(void)
{
    char *count = owner_value(CONNECTED, NULL, NULL);
    if (atoi(count) > 0)
        ctl_fail(CTL_FAILED, "chatd has %s connections to this database; stop it on every host",
                 count);
    free(count);
}

#define SKIP_IDS                                                                                   \
    "select setval(s.seqrelid, coalesce(pg_sequence_last_value(s.seqrelid), 0) + " SKIP            \
    ") from pg_sequence s where s.seqrelid in ('chatd.change_seq'::regclass, "                     \
    "'chatd.conversation_seq'::regclass, 'chatd.users_id_seq'::regclass)"

/* Changes that are passed over count as removed, with a stamp of their own, so that no host looks
 * for them. */
#define PASS_OVER                                                                                  \
    "update chatd.retention set horizon = pg_sequence_last_value('chatd.change_seq'), last = "     \
    "pg_sequence_last_value('chatd.change_seq'), stamp = floor(random() * 60000000)::int"

/* In this order: how far the sequences go is how much is passed over. With another tag no earlier
 * cursor is honoured. A trigger makes the step of a generation so large that no lost token has the
 * new one. */
static const char *const steps[] = {
    "update chatd.instance set tag = right(gen_random_uuid()::text, 12)",
    SKIP_IDS,
    PASS_OVER,
    "update chatd.users set token_generation = token_generation + 1",
};

#define RESULT                                                                                     \
    "select i.tag, m.last_value, c.last_value, u.last_value, (select count(*) from chatd.users) "  \
    "from chatd.instance i, chatd.change_seq m, chatd.conversation_seq c, chatd.users_id_seq u"

#define PASSED_OVER "ids up to this one are passed over"

static void report(void)
{
    PGresult *result = owner_run(RESULT, NULL, NULL);
    done_put("database", PQgetvalue(result, 0, 0),
             "is its name in cursors now; those of before are not honoured");
    done_put("messages", PQgetvalue(result, 0, 1), PASSED_OVER);
    done_put("conversations", PQgetvalue(result, 0, 2), PASSED_OVER);
    done_put("users", PQgetvalue(result, 0, 3), PASSED_OVER);
    done_put("tokens", "all", "are void; %s users log in again", PQgetvalue(result, 0, 4));
    PQclear(result);
    done_end();
}

enum ctl_status restored_run(char **words)
{
    (void)words;
    refuse_while_used();
    owner_begin();
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++)
        PQclear(owner_run(steps[i], NULL, NULL));
    owner_commit();
    report();
    return CTL_DONE;
}

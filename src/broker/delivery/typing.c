/* Who is writing to whom; see typing.h. */
#include "typing.h"

#include <stdio.h>
#include <string.h>

#include "bell.h"
#include "broker.h"
#include "feed.h"
#include "link.h"
#include "pool.h"

enum {
    AT_ONCE = 80,  /* pairs in a statement: a NOTIFY of that many has less than 8000 bytes */
    MOST = 512,    /* that may wait */
    PAUSE_MS = 20, /* between two statements: nobody sees it, and more go together */
};

static struct typist waiting[MOST];
static size_t count;
static bool asking; /* a statement is under way */
static struct loop_timer rest;

/* --- to the receivers here --- */

struct typing {
    int64_t receiver, conversation, sender;
    struct text name; /* nothing to escape: username.h */
};

static void show(const struct typing *t)
{
    char frame[IPC_MAX_EPHEMERAL];
    int n = snprintf(frame, sizeof(frame),
                     "{\"type\":\"typing\",\"data\":{\"conversation_id\":%lld,\"user_id\":%lld,"
                     "\"username\":\"%.*s\"}}",
                     (long long)t->conversation, (long long)t->sender, (int)t->name.n, t->name.p);
    feed_ephemeral(t->receiver, (struct text){frame, (size_t)n});
}

/* --- to the database, and from it --- */

void typing_add(const struct typist *t)
{
    if (!link_is_up() || count == MOST)
        return;
    for (size_t i = 0; i < count; i++)
        if (memcmp(&waiting[i], t, sizeof(*t)) == 0)
            return;
    waiting[count++] = *t;
}

static void on_rested(void *arg)
{
    (void)arg; /* waking the loop is enough: schedule_turn() calls typing_tell() */
}

static void on_told(void *arg, const PGresult *result)
{
    (void)arg;
    asking = false;
    rest.call = on_rested;
    loop_timer_set(broker.loop, &rest, PAUSE_MS);
    if (!result || !db_ok(result)) {
        count = 0; /* it has waited too long, or would */
        return;
    }
    for (int i = 0; i < PQntuples(result); i++) {
        struct typing t = {.receiver = db_int(result, i, 0),
                           .conversation = db_int(result, i, 1),
                           .sender = db_int(result, i, 2)};
        t.name.p = db_text(result, i, 3, &t.name.n);
        show(&t);
    }
}

static void put_pairs(struct db_params *params, size_t n)
{
    db_param_array(params, DB_INT8_OID, n);
    for (size_t i = 0; i < n; i++)
        db_array_int8(params, waiting[i].sender);
    db_array_end(params);
    db_param_array(params, DB_INT8_OID, n);
    for (size_t i = 0; i < n; i++)
        db_array_int8(params, waiting[i].receiver);
    db_array_end(params);
    db_param_array(params, DB_INT8_OID, n);
    for (size_t i = 0; i < n; i++)
        db_array_int8(params, waiting[i].conversation);
    db_array_end(params);
}

void typing_tell(void)
{
    if (count == 0 || asking || rest.armed)
        return;
    size_t n = count < AT_ONCE ? count : AT_ONCE;
    struct db_params params = {0};
    db_param_int8(&params, link_host());
    put_pairs(&params, n);
    count -= n;
    memmove(waiting, waiting + n, count * sizeof(waiting[0]));
    asking = true;
    pool_run(NULL, STATEMENT_TYPING_TELL, &params, on_told, NULL);
}

void typing_link_lost(void)
{
    loop_timer_stop(broker.loop, &rest);
    count = 0;
}

/* --- from other hosts --- */

static bool take_typing(const char **at, struct typing *t)
{
    return bell_take_id(at, &t->receiver) && bell_take_id(at, &t->conversation) &&
           bell_take_id(at, &t->sender) && bell_take_name(at, &t->name);
}

void typing_rung(const char *shown)
{
    struct typing all[AT_ONCE];
    size_t n = 0;
    for (; *shown; n++)
        if (n == AT_ONCE || !take_typing(&shown, &all[n]))
            return;
    for (size_t i = 0; broker.conf.typing_rate && i < n; i++)
        show(&all[i]);
}

/* Receipts; see receipts.h. */
#include "receipts.h"

#include <stdio.h>
#include <stdlib.h>

#include "bell.h"
#include "broker.h"
#include "feed.h"
#include "link.h"
#include "log.h"
#include "pool.h"
#include "turns.h"

enum {
    BATCH = 200,  /* in a statement */
    SHARE = 8,    /* of each account in its turn */
    EACH = 256,   /* that may wait of one account */
    MOST = 8192,  /* that may wait in all */
    PAUSE_MS = 5, /* between two statements: each holds up whoever rings other hosts */
};

struct receipt {
    struct turn turn;
    struct asker asker;
    struct watermark mark;
};

static struct turns waiting; /* by user */
static struct receipt *batch[BATCH];
static size_t batch_count; /* 0: no statement is under way */
static struct loop_timer rest;

/* --- to the members here --- */

struct shown {
    int64_t receiver, conversation, user, read_upto, delivered_upto;
};

static void show(const struct shown *s)
{
    char frame[IPC_MAX_EPHEMERAL];
    int n = snprintf(frame, sizeof(frame),
                     "{\"type\":\"receipt\",\"data\":{\"conversation_id\":%lld,\"user_id\":%lld,"
                     "\"read_upto\":%lld,\"delivered_upto\":%lld}}",
                     (long long)s->conversation, (long long)s->user, (long long)s->read_upto,
                     (long long)s->delivered_upto);
    feed_ephemeral(s->receiver, (struct text){frame, (size_t)n});
}

static void show_rows(const PGresult *result)
{
    for (int i = 0; i < PQntuples(result); i++) {
        if (!db_is_null(result, i, 0))
            continue;
        struct shown s = {db_int(result, i, 1), db_int(result, i, 2), db_int(result, i, 3),
                          db_int(result, i, 4), db_int(result, i, 5)};
        show(&s);
    }
}

/* --- to the database, and from it --- */

void receipts_init(void)
{
    turns_init(&waiting, SHARE);
}

static void answer(struct receipt *r, enum ipc_error error)
{
    if (error)
        peer_fail(r->asker, error);
    else
        peer_reply(r->asker, 204, "", 0);
    free(r);
}

/* Where too many wait, the last one of whoever has the most makes room. False: that is this user.
 */
static bool make_room(uint64_t user)
{
    uint64_t most;
    if (turns_count(&waiting, user) >= EACH)
        return false;
    if (waiting.count < MOST)
        return true;
    struct turn *last = turns_last_of_most(&waiting, &most);
    if (most == user)
        return false;
    turns_remove(&waiting, most, last);
    answer((struct receipt *)last, IPC_E_OVERLOADED);
    return true;
}

void receipts_add(struct asker asker, const struct watermark *w)
{
    if (!link_is_up() || !make_room((uint64_t)w->user)) {
        peer_fail(asker, link_is_up() ? IPC_E_OVERLOADED : IPC_E_UNAVAILABLE);
        return;
    }
    struct receipt *r = xcalloc(1, sizeof(*r));
    *r = (struct receipt){.asker = asker, .mark = *w};
    turns_add(&waiting, (uint64_t)w->user, &r->turn, 1);
}

/* Answers those that named no conversation of theirs, which have a row with their place. */
static void answer_unknown(const PGresult *result)
{
    for (int i = 0; i < PQntuples(result); i++) {
        int64_t place = db_int(result, i, 0);
        if (place < 1 || place > (int64_t)batch_count || !batch[place - 1])
            continue;
        answer(batch[place - 1], IPC_E_UNKNOWN_CONVERSATION);
        batch[place - 1] = NULL;
    }
}

static void answer_batch(enum ipc_error error)
{
    size_t count = batch_count;
    batch_count = 0;
    for (size_t i = 0; i < count; i++)
        if (batch[i])
            answer(batch[i], error);
}

static void on_rested(void *arg)
{
    (void)arg; /* waking the loop is enough: schedule_turn() calls receipts_store() */
}

static void on_stored(void *arg, const PGresult *result)
{
    (void)arg;
    rest.call = on_rested;
    loop_timer_set(broker.loop, &rest, PAUSE_MS);
    if (!db_ok(result)) {
        answer_batch(db_error(result));
        return;
    }
    show_rows(result);
    answer_unknown(result);
    answer_batch(IPC_E_NONE);
}

static void put_batch(struct db_params *params)
{
    db_param_int8(params, link_host());
    db_param_array(params, DB_INT8_OID, batch_count);
    for (size_t i = 0; i < batch_count; i++)
        db_array_int8(params, batch[i]->mark.user);
    db_array_end(params);
    db_param_array(params, DB_INT8_OID, batch_count);
    for (size_t i = 0; i < batch_count; i++)
        db_array_int8(params, batch[i]->mark.conversation);
    db_array_end(params);
    db_param_array(params, DB_INT8_OID, batch_count);
    for (size_t i = 0; i < batch_count; i++)
        db_array_int8(params, batch[i]->mark.message);
    db_array_end(params);
    db_param_array(params, DB_BOOL_OID, batch_count);
    for (size_t i = 0; i < batch_count; i++)
        db_array_bool(params, batch[i]->mark.read);
    db_array_end(params);
}

void receipts_store(void)
{
    struct turn *turn;
    if (batch_count > 0 || waiting.count == 0 || rest.armed)
        return;
    while (batch_count < BATCH && (turn = turns_take(&waiting)))
        batch[batch_count++] = (struct receipt *)turn;
    struct db_params params = {0};
    put_batch(&params);
    pool_run(NULL, STATEMENT_RECEIPT_PUT, &params, on_stored, NULL);
}

bool receipts_has_work(void)
{
    return waiting.count > 0 || batch_count > 0;
}

void receipts_link_lost(void)
{
    struct turn *turn;
    while ((turn = turns_take(&waiting)))
        answer((struct receipt *)turn, IPC_E_UNAVAILABLE);
}

void receipts_free(void)
{
    receipts_link_lost();
    loop_timer_stop(broker.loop, &rest);
    turns_free(&waiting);
}

/* --- from other hosts --- */

static bool take_shown(const char **at, struct shown *s)
{
    return bell_take_id(at, &s->receiver) && bell_take_id(at, &s->conversation) &&
           bell_take_id(at, &s->user) && bell_take_number(at, &s->read_upto) &&
           bell_take_number(at, &s->delivered_upto);
}

void receipts_rung(const char *shown)
{
    struct shown s;
    const char *at = shown;
    while (*at)
        if (!take_shown(&at, &s))
            return;
    for (at = shown; *at && take_shown(&at, &s);)
        show(&s);
}

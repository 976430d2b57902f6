/* Changes of messages; see edits.h. */
#include "edits.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "answers.h"
#include "attached.h"
#include "broker.h"
#include "clock.h"
#include "deliveries.h"
#include "groups.h"
#include "histogram.h"
#include "link.h"
#include "log.h"
#include "pool.h"
#include "position.h"
#include "turns.h"

enum {
    /* In bytes of content. */
    CHANGE_COST = 1024,      /* beside twice the content: it is stored, and goes to two users;
                              * of a group, to its members */
    SHARE = 8192,            /* of each account in a transaction */
    BATCH_COST = 256 * 1024, /* of a transaction, and of what waits of one account */
    ACCOUNT_MOST = 128,      /* that wait of one account */
    PATIENCE_MS = 2000,      /* how long to wait while the database is away */
};

enum { USER, CONVERSATION, MESSAGE, IDS };

struct edit {
    struct turn turn;
    STAILQ_ENTRY(edit) next; /* in a batch */
    struct asker asker;
    int64_t since; /* clock_ms() of its arrival */
    int64_t ids[IDS];
    bool deletes, reacts; /* as in struct editing */
    size_t size;
    char content[];
};

static struct turns waiting;                                                 /* by user */
static STAILQ_HEAD(edit_queue, edit) batch = STAILQ_HEAD_INITIALIZER(batch); /* under way */
static size_t batch_count;
static struct loop_timer patience;
static struct histogram waits = HISTOGRAM(histogram_times, HISTOGRAM_SECOND); /* for a batch */

static struct edit *take_waiting(void)
{
    return (struct edit *)turns_take(&waiting);
}

static struct edit *take_batch(void)
{
    struct edit *e = STAILQ_FIRST(&batch);
    if (!e)
        return NULL;
    STAILQ_REMOVE_HEAD(&batch, next);
    batch_count--;
    return e;
}

/* Of a channel that is not attached, too: its answers have no place to wait for. */
static void fail_all(struct edit *(*take)(void), enum ipc_error error)
{
    struct edit *e;
    while ((e = take())) {
        answers_refuse(e->asker, error);
        free(e);
    }
}

static void on_impatient(void *arg)
{
    (void)arg;
    if (!link_is_up())
        fail_all(take_waiting, IPC_E_UNAVAILABLE);
}

void edits_init(void)
{
    turns_init(&waiting, SHARE);
    patience.call = on_impatient;
}

static enum ipc_error verdict(int64_t user)
{
    if (link_is_hopeless())
        return IPC_E_UNAVAILABLE;
    if (waiting.count >= (size_t)broker.conf.batch_queue ||
        turns_count(&waiting, (uint64_t)user) >= ACCOUNT_MOST ||
        turns_cost(&waiting, (uint64_t)user) >= BATCH_COST)
        return IPC_E_OVERLOADED;
    return IPC_E_NONE;
}

/* Of a content of this size, which goes to the members of a group. */
static size_t cost_of(const struct edit *e, size_t size)
{
    return 2 * size + attached_cost(groups_count(e->ids[CONVERSATION]), size);
}

void edits_add(struct peer *p, struct asker asker, const struct editing *m)
{
    enum ipc_error error = verdict(p->user);
    if (error) {
        answers_refuse(asker, error);
        return;
    }
    struct edit *e = xcalloc(1, sizeof(*e) + m->content.n);
    *e = (struct edit){.asker = asker,
                       .since = clock_ms(),
                       .ids = {p->user, m->conversation, m->message},
                       .deletes = m->deletes,
                       .reacts = m->reacts,
                       .size = m->content.n};
    memcpy(e->content, m->content.p, m->content.n);
    turns_add(&waiting, (uint64_t)p->user, &e->turn, CHANGE_COST + cost_of(e, e->size));
    if (!link_is_up() && !patience.armed)
        loop_timer_set(broker.loop, &patience, PATIENCE_MS);
}

/* --- answers --- */

static void on_shown(void *arg, const PGresult *result)
{
    answers_json(arg, result, IPC_E_UNKNOWN_MESSAGE); /* null: removed by hand a moment ago */
}

/* Shows the message to the peer that changed it. Reading it takes a statement of its own: an answer
 * of the one that changes is written while the change lock is held, and so must be short. */
static void show(const struct peer *p, const struct edit *e)
{
    struct asker *a = xcalloc(1, sizeof(*a));
    *a = e->asker;
    struct db_params params = {0};
    for (int i = 0; i < IDS; i++)
        db_param_int8(&params, e->ids[i]);
    pool_run(p, STATEMENT_MESSAGE_SHOW, &params, on_shown, a);
}

static enum ipc_error status_of(const PGresult *result, int row)
{
    static const struct db_status known[] = {
        {"ok", IPC_E_NONE},
        {"unknown_message", IPC_E_UNKNOWN_MESSAGE},
        {"not_sender", IPC_E_NOT_SENDER},
        {"deleted", IPC_E_DELETED},
        {"refused", IPC_E_REFUSED},
        {"too_late", IPC_E_TOO_LATE},
        {"gone", IPC_E_GONE},
        {"too_many_kinds", IPC_E_TOO_MANY_KINDS},
        {"quota", IPC_E_QUOTA},
        {"invalid", IPC_E_INVALID},
        {NULL, IPC_E_INTERNAL},
    };
    return db_status(result, row, 1, known);
}

/* Changes are handed out by events.c, in their turn. */
static void answer(const struct edit *e, const PGresult *result, int row)
{
    enum ipc_error error = status_of(result, row);
    if (error) {
        answers_refuse(e->asker, error);
        return;
    }
    if (e->reacts) /* only now it is known what goes to everybody */
        turns_charge(&waiting, (uint64_t)e->ids[USER], cost_of(e, (size_t)db_int(result, row, 4)));
    struct cursor change = db_cursor(result, row, 2);
    position_saw(change);
    position_rung(change.change);
    deliveries_learned(change.change);
    struct peer *p = peer_find(e->asker.peer);
    if (!p)
        return;
    if (p->state == IPC_IS_ATTACHED)
        answers_ack(e->asker, (struct answer_ack){change, (uint64_t)e->ids[MESSAGE], false});
    else if (e->deletes || e->reacts)
        peer_reply(e->asker, 204, "", 0);
    else
        show(p, e);
}

static void on_changed(void *arg, const PGresult *result)
{
    (void)arg;
    if (!result)
        return; /* link lost: edits_link_lost() tells */
    if (db_host_removed(result)) {
        link_ok(result, "changing messages"); /* so does this */
        return;
    }
    bool ok = db_ok(result) && (size_t)PQntuples(result) == batch_count;
    struct edit *e;
    for (int row = 0; ok && (e = take_batch()); row++) {
        answer(e, result, row);
        free(e);
    }
    fail_all(take_batch, db_error(result));
    answers_release();
}

/* --- the statement --- */

static void put_ids(struct db_params *params, int which)
{
    const struct edit *e;
    db_param_array(params, DB_INT8_OID, batch_count);
    STAILQ_FOREACH (e, &batch, next)
        db_array_int8(params, e->ids[which]);
    db_array_end(params);
}

/* Null: it deletes the message, or takes the reaction back. A reaction has no text. */
static void put_contents(struct db_params *params)
{
    const struct edit *e;
    db_param_array(params, DB_TEXT_OID, batch_count);
    STAILQ_FOREACH (e, &batch, next)
        if (e->deletes)
            db_array_null(params);
        else
            db_array_text(params, e->content, e->reacts ? 0 : e->size);
    db_array_end(params);
}

/* Null: no reaction is among them. */
static void put_emojis(struct db_params *params)
{
    bool some = false;
    const struct edit *e;
    STAILQ_FOREACH (e, &batch, next)
        some = some || e->reacts;
    if (!some) {
        db_param_null(params);
        return;
    }
    db_param_array(params, DB_TEXT_OID, batch_count);
    STAILQ_FOREACH (e, &batch, next)
        if (e->reacts)
            db_array_text(params, e->content, e->size);
        else
            db_array_null(params);
    db_array_end(params);
}

static void put_batch(struct db_params *params)
{
    db_param_int8(params, link_host());
    for (int i = 0; i < IDS; i++)
        put_ids(params, i);
    put_contents(params);
    db_param_bound(params, broker.conf.edit_time);
    db_param_bound(params, (int64_t)broker.conf.quota_bytes);
    db_param_bool(params, broker.conf.audit == CONF_ON);
    db_param_bound(params, broker.conf.quota_messages);
    put_emojis(params);
}

size_t edits_waiting(void)
{
    return waiting.count;
}

const struct histogram *edits_waits(void)
{
    return &waits;
}

bool edits_has_work(void)
{
    return waiting.count > 0 || batch_count > 0;
}

/* As much as each account that waits has a share of: at least one. */
static size_t most_in_batch(void)
{
    size_t shares = waiting.queues.count * (size_t)SHARE;
    return shares < BATCH_COST ? shares : BATCH_COST;
}

bool edits_write(struct db *writer)
{
    size_t cost = 0, most = most_in_batch();
    int64_t now = waiting.count > 0 ? clock_ms() : 0;
    struct edit *e;
    while (cost < most && (e = take_waiting())) {
        histogram_add(&waits, (uint64_t)(now - e->since) * 1000, 1);
        cost += e->turn.cost;
        STAILQ_INSERT_TAIL(&batch, e, next);
        batch_count++;
    }
    if (batch_count == 0)
        return false;
    struct db_params params = {0};
    put_batch(&params);
    db_run(writer, STATEMENT_MESSAGE_CHANGE, &params, on_changed, NULL);
    return true;
}

void edits_link_lost(void)
{
    fail_all(take_batch, IPC_E_UNAVAILABLE);
    fail_all(take_waiting, IPC_E_UNAVAILABLE);
}

void edits_free(void)
{
    struct edit *e;
    while ((e = take_batch()) || (e = take_waiting()))
        free(e);
    loop_timer_stop(broker.loop, &patience);
    turns_free(&waiting);
}

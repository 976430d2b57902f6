/* Group commit of messages; see sends.h. */
#include "sends.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "answers.h"
#include "attached.h"
#include "broker.h"
#include "clock.h"
#include "connections.h"
#include "feed.h"
#include "groups.h"
#include "link.h"
#include "log.h"
#include "position.h"
#include "turns.h"

enum {

    /* In bytes of content. */
    STORE_COST = 512,        /* beside the content */
    SHARE = 8192,            /* of each account in its turn */
    BATCH_COST = 256 * 1024, /* of a transaction, and of what waits of one account */
    PATIENCE_MS = 2000,      /* how long a message waits while the database is away */
    EXPIRY_MS = 250,         /* how often to check that */

    /* PostgreSQL writes the answer before it commits, while it holds the change lock, so the answer
     * must fit into the socket's buffers in case this process stops reading. */
    FRAMES_BYTES = 64 * 1024,
    FRAME_ROOM = 800, /* for the JSON around the content, and 20 mentions */
};

struct send {
    struct turn turn;          /* among what waits */
    TAILQ_ENTRY(send) arrived; /* the same in the order of arrival */
    STAILQ_ENTRY(send) next;   /* in a batch */
    struct asker asker;
    int64_t sender, receiver, conversation, reply_to; /* the latter two as in struct sending */
    uint64_t origin;
    int64_t since; /* clock_ms() of its arrival */
    bool again;    /* it may be stored already without an answer */
    size_t id_size, content_size;
    char text[]; /* the id, then the content */
};

STAILQ_HEAD(send_queue, send);

struct queue {
    struct send_queue sends;
    long long count;
};

/* A peer whose account has as many messages waiting as it may. */
struct pause {
    struct turn turn;
    uint64_t peer;
};

static uint64_t stored;      /* in all */
static struct turns waiting; /* by sender */
static TAILQ_HEAD(, send) arrivals = TAILQ_HEAD_INITIALIZER(arrivals);
static struct turns pauses; /* by user: struct pause, of which there are no more than sends */
static struct queue batch = {STAILQ_HEAD_INITIALIZER(batch.sends), 0};       /* under way */
static struct queue returned = {STAILQ_HEAD_INITIALIZER(returned.sends), 0}; /* goes first */
static bool batch_framed; /* its answer brings the frames to hand out */
static struct loop_timer expiry;

static void push(struct queue *q, struct send *s)
{
    STAILQ_INSERT_TAIL(&q->sends, s, next);
    q->count++;
}

static struct send *pop(struct queue *q)
{
    struct send *s = STAILQ_FIRST(&q->sends);
    STAILQ_REMOVE_HEAD(&q->sends, next);
    q->count--;
    return s;
}

/* One message less of this account waits: one of its peers may go on. */
static void resume_one(int64_t user)
{
    struct pause *pause;
    struct peer *p = NULL;
    while (!p && (pause = (struct pause *)turns_take_of(&pauses, (uint64_t)user))) {
        p = peer_find(pause->peer);
        free(pause);
    }
    if (p)
        peer_resume(p);
}

static struct send *leave_waiting(struct turn *turn)
{
    struct send *s = (struct send *)turn;
    TAILQ_REMOVE(&arrivals, s, arrived);
    resume_one(s->sender);
    return s;
}

/* What goes next into a batch; NULL: nothing waits. */
static struct send *take_next(void)
{
    if (returned.count > 0)
        return pop(&returned);
    struct turn *turn = turns_take(&waiting);
    return turn ? leave_waiting(turn) : NULL;
}

/* The one that has waited longest; NULL: nothing waits. */
static struct send *oldest(void)
{
    return returned.count > 0 ? STAILQ_FIRST(&returned.sends) : TAILQ_FIRST(&arrivals);
}

static struct send *take_oldest(void)
{
    if (returned.count > 0)
        return pop(&returned);
    return leave_waiting(turns_take_of(&waiting, (uint64_t)TAILQ_FIRST(&arrivals)->sender));
}

static void on_expiry(void *arg)
{
    (void)arg;
    if (link_is_up())
        return;
    int64_t since = clock_ms() - PATIENCE_MS;
    struct send *s;
    while ((s = oldest()) && (link_is_hopeless() || s->since <= since)) {
        take_oldest();
        answers_refuse(s->asker, IPC_E_UNAVAILABLE);
        free(s);
    }
    if (s)
        loop_timer_set(broker.loop, &expiry, EXPIRY_MS);
}

static void watch_expiry(void)
{
    expiry.call = on_expiry;
    if (!link_is_up() && !expiry.armed)
        loop_timer_set(broker.loop, &expiry, EXPIRY_MS);
}

/* So many messages of one account as one batch takes may wait, so that a busy account alone fills
 * it. With more its sessions wait: they would not be faster, but keep the processors busy. */
static void pause_if_full(struct peer *p)
{
    uint64_t user = (uint64_t)p->user;
    if (turns_count(&waiting, user) < (size_t)broker.conf.batch_max &&
        turns_cost(&waiting, user) < BATCH_COST)
        return;
    struct pause *pause = xcalloc(1, sizeof(*pause));
    pause->peer = p->id;
    turns_add(&pauses, user, &pause->turn, 1);
    peer_pause(p);
}

/* The connection that sends needs no copy. Copies to a receiver who is
 * not known yet are charged later, by learn_receiver(). */
static size_t cost_of(const struct send *s)
{
    size_t own = connections_of(s->sender);
    size_t copies = own > 0 ? own - 1 : 0;
    if (s->receiver && s->receiver != s->sender)
        copies += connections_of(s->receiver);
    if (!s->receiver)
        copies += groups_count(s->conversation);
    return STORE_COST + s->content_size + attached_cost(copies, s->content_size);
}

void sends_init(void)
{
    turns_init(&waiting, SHARE);
    turns_init(&pauses, 1);
}

void sends_add(struct peer *p, struct asker asker, const struct sending *m)
{
    if (link_is_hopeless() || waiting.count >= (size_t)broker.conf.batch_queue) {
        peer_fail(asker, link_is_hopeless() ? IPC_E_UNAVAILABLE : IPC_E_OVERLOADED);
        return;
    }
    struct send *s = xcalloc(1, sizeof(*s) + m->id.n + m->content.n);
    *s = (struct send){.asker = asker,
                       .sender = p->user,
                       .receiver = m->receiver,
                       .conversation = m->conversation,
                       .reply_to = m->reply_to,
                       .origin = p->origin,
                       .since = clock_ms(),
                       .again = m->again,
                       .id_size = m->id.n,
                       .content_size = m->content.n};
    memcpy(s->text, m->id.p, m->id.n);
    memcpy(s->text + m->id.n, m->content.p, m->content.n);
    turns_add(&waiting, (uint64_t)p->user, &s->turn, cost_of(s));
    TAILQ_INSERT_TAIL(&arrivals, s, arrived);
    pause_if_full(p);
    watch_expiry();
}

/* Was it stored before the client sent it? Not if an earlier attempt of this same send stored
 * it. */
static bool is_duplicate(const struct send *s, const PGresult *result, int row)
{
    return db_bool(result, row, 4) && !(s->again && db_bool(result, row, 5));
}

static enum ipc_error status_of(const PGresult *result, int row)
{
    static const struct db_status known[] = {
        {"ok", IPC_E_NONE},
        {"unknown_receiver", IPC_E_UNKNOWN_RECEIVER},
        {"refused", IPC_E_REFUSED},
        {"unknown_sender", IPC_E_UNAUTHORIZED},
        {"unknown_conversation", IPC_E_UNKNOWN_CONVERSATION},
        {"unknown_reply", IPC_E_UNKNOWN_REPLY},
        {"conflict", IPC_E_CONFLICT},
        {"invalid", IPC_E_INVALID},
        {"quota", IPC_E_QUOTA},
        {NULL, IPC_E_INTERNAL},
    };
    return db_status(result, row, 1, known);
}

/* The row as a change, for the other peers that it concerns. */
static struct event event_of(const struct send *s, const PGresult *result, int row)
{
    struct event e = {.cursor = db_cursor(result, row, 2),
                      .users = {s->receiver, s->sender},
                      .user_count = s->receiver == s->sender ? 1 : 2,
                      .origin = s->receiver == s->sender ? 0 : s->origin};
    if (!s->receiver) {
        e.user_count = 0;
        e.group = s->conversation;
        e.subject = e.cursor.change;
    }
    e.frame = db_text(result, row, 6, &e.size);
    return e;
}

static bool is_awaited(const struct send *s)
{
    if (s->receiver)
        return attached_awaits(s->sender, s->origin, s->receiver);
    return groups_count(s->conversation) == 0 || /* of a direct one nothing is known */
           attached_group_awaits(s->sender, s->origin, s->conversation);
}

/* True if the whole batch is new, so that no other change lies between its messages, it is next to
 * be handed out, and each has its frame if anybody awaits it by now: whoever has come meanwhile
 * does so, too. */
static bool is_next(const PGresult *result)
{
    int row = 0;
    const struct send *s;
    STAILQ_FOREACH (s, &batch.sends, next) {
        if (status_of(result, row) || db_bool(result, row, 4) ||
            (db_is_null(result, row, 6) && is_awaited(s)))
            return false;
        row++;
    }
    return batch_framed && position_is_next(db_cursor(result, 0, 2).change);
}

/* Only now it is known whose connections get copies. */
static void learn_receiver(struct send *s, int64_t receiver)
{
    s->receiver = receiver;
    turns_charge(&waiting, (uint64_t)s->sender, cost_of(s) - s->turn.cost);
}

/* next: the batch directly follows what this host has handed out, so hand it out here; otherwise
 * events.c reads it in its turn. */
static void answer_send(struct send *s, const PGresult *result, int row, bool next)
{
    enum ipc_error error = status_of(result, row);
    if (error) {
        answers_refuse(s->asker, error);
        return;
    }
    if (s->conversation && !db_is_null(result, row, 7))
        learn_receiver(s, db_int(result, row, 7));
    struct answer_ack ack = {.change = db_cursor(result, row, 2),
                             .duplicate = is_duplicate(s, result, row)};
    ack.message = ack.change.change;
    position_saw(ack.change);
    if (next) {
        struct event e = event_of(s, result, row);
        feed_hand_out(&e);
    } else {
        position_rung(ack.change.change);
    }
    answers_ack(s->asker, ack);
}

static void on_sent(void *arg, const PGresult *result)
{
    (void)arg;
    if (!result)
        return; /* link lost: sends_link_lost() keeps the batch */
    if (db_host_removed(result)) {
        link_ok(result, "storing messages"); /* this keeps the batch, too */
        return;
    }
    bool ok = db_ok(result) && PQntuples(result) == batch.count;
    bool next = ok && is_next(result);
    int row = 0;
    struct send *s;
    STAILQ_FOREACH (s, &batch.sends, next) {
        stored += ok;
        if (ok)
            answer_send(s, result, row++, next);
        else
            answers_refuse(s->asker, db_error(result));
    }
    while (batch.count > 0)
        free(pop(&batch));
    answers_release();
}

/* Ask for the messages' frames only if they are small and nothing else must be handed out first:
 * otherwise they would not be used. */
static bool wants_frames(void)
{
    size_t size = 0;
    const struct send *s;
    STAILQ_FOREACH (s, &batch.sends, next) {
        size += FRAME_ROOM + event_text_size(s->text + s->id_size, s->content_size);
        if (size > FRAMES_BYTES)
            break;
    }
    return size <= FRAMES_BYTES && position_is_started() && !position_is_behind();
}

enum number { SENDER, RECEIVER, ORIGIN, CONVERSATION, REPLY_TO };

static int64_t number_of(const struct send *s, enum number which)
{
    const int64_t numbers[] = {s->sender, s->receiver, (int64_t)s->origin, s->conversation,
                               s->reply_to};
    return numbers[which];
}

static void put_numbers(struct db_params *params, enum number which)
{
    const struct send *s;
    db_param_array(params, DB_INT8_OID, (size_t)batch.count);
    STAILQ_FOREACH (s, &batch.sends, next)
        db_array_int8(params, number_of(s, which));
    db_array_end(params);
}

/* Null: none of them has such a number. */
static void put_numbers_if_any(struct db_params *params, enum number which)
{
    const struct send *s;
    STAILQ_FOREACH (s, &batch.sends, next)
        if (number_of(s, which)) {
            put_numbers(params, which);
            return;
        }
    db_param_null(params);
}

static void put_batch(struct db_params *params)
{
    size_t count = (size_t)batch.count;
    const struct send *s;
    db_param_int8(params, link_host());
    put_numbers(params, SENDER);
    put_numbers(params, RECEIVER);
    db_param_array(params, DB_TEXT_OID, count);
    STAILQ_FOREACH (s, &batch.sends, next)
        db_array_text(params, s->text, s->id_size);
    db_array_end(params);
    put_numbers(params, ORIGIN);
    db_param_array(params, DB_TEXT_OID, count);
    STAILQ_FOREACH (s, &batch.sends, next)
        db_array_text(params, s->text + s->id_size, s->content_size);
    db_array_end(params);
    db_param_array(params, DB_BOOL_OID, count);
    STAILQ_FOREACH (s, &batch.sends, next)
        db_array_bool(params, batch_framed && is_awaited(s));
    db_array_end(params);
    db_param_bound(params, broker.conf.quota_messages);
    db_param_bound(params, (int64_t)broker.conf.quota_bytes);
    put_numbers_if_any(params, CONVERSATION);
    put_numbers_if_any(params, REPLY_TO);
}

size_t sends_waiting(void)
{
    return waiting.count + (size_t)returned.count;
}

uint64_t sends_stored(void)
{
    return stored;
}

bool sends_has_work(void)
{
    return oldest() || batch.count > 0;
}

bool sends_write(struct db *writer)
{
    size_t cost = 0;
    struct send *s;
    while (batch.count < broker.conf.batch_max && cost < BATCH_COST && (s = take_next())) {
        cost += s->turn.cost;
        push(&batch, s);
    }
    if (batch.count == 0)
        return false;
    struct db_params params = {0};
    batch_framed = wants_frames();
    put_batch(&params);
    db_run(writer, STATEMENT_MESSAGE_SEND, &params, on_sent, NULL);
    return true;
}

void sends_link_lost(void)
{
    struct send *s;
    STAILQ_FOREACH (s, &batch.sends, next)
        s->again = true;
    /* The batch goes before what has come since, and before what was left of an earlier one. */
    STAILQ_CONCAT(&batch.sends, &returned.sends);
    STAILQ_CONCAT(&returned.sends, &batch.sends);
    returned.count += batch.count;
    batch.count = 0;
    if (oldest())
        watch_expiry();
}

void sends_free(void)
{
    while (batch.count > 0)
        free(pop(&batch));
    while (oldest())
        free(take_oldest());
    turns_free(&waiting);
    turns_free(&pauses);
}

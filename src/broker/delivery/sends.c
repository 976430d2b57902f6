/* Group commit of messages; see sends.h. */
#include "sends.h"

#include <stdlib.h>
#include <string.h>

#include "answers.h"
#include "attached.h"
#include "broker.h"
#include "clock.h"
#include "commits.h"
#include "deliveries.h"
#include "feed.h"
#include "groups.h"
#include "link.h"
#include "log.h"
#include "position.h"
#include "send_queue.h"

enum {
    PATIENCE_MS = 2000, /* how long a message waits while the database is away */
    EXPIRY_MS = 250,    /* how often to check that */

    /* PostgreSQL writes the answer before it commits, while it holds the change lock, so the answer
     * must fit into the socket's buffers in case this process stops reading. */
    FRAMES_BYTES = 64 * 1024,
    FRAME_ROOM = 520,   /* for the JSON around the content */
    MENTION_ROOM = 430, /* for 20 mentions */
};

static struct send_batch batch = {STAILQ_HEAD_INITIALIZER(batch.sends), 0}; /* under way */
static bool batch_framed; /* its answer brings the frames to hand out */
static struct loop_timer expiry;

static void on_expiry(void *arg)
{
    (void)arg;
    if (link_is_up())
        return;
    int64_t since = clock_ms() - PATIENCE_MS;
    const struct send *oldest;
    while ((oldest = send_queue_oldest()) && (link_is_hopeless() || oldest->since <= since)) {
        struct send *s = send_queue_take_oldest();
        answers_refuse(s->asker, IPC_E_UNAVAILABLE);
        free(s);
    }
    if (oldest)
        loop_timer_set(broker.loop, &expiry, EXPIRY_MS);
}

static void watch_expiry(void)
{
    expiry.call = on_expiry;
    if (!link_is_up() && !expiry.armed)
        loop_timer_set(broker.loop, &expiry, EXPIRY_MS);
}

void sends_init(void)
{
    send_queue_init();
}

void sends_add(struct peer *p, struct asker asker, const struct sending *m)
{
    if (link_is_hopeless() || send_queue_fresh() >= (size_t)broker.conf.batch_queue) {
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
    send_queue_add(p, s);
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

/* next: the batch directly follows what this host has handed out, so hand it out here; otherwise
 * events.c reads it in its turn. */
static void answer_send(struct send *s, const PGresult *result, int row, bool next)
{
    enum ipc_error error = status_of(result, row);
    commits_waited(s->since);
    if (error) {
        answers_refuse(s->asker, error);
        return;
    }
    if (s->conversation && !db_is_null(result, row, 7))
        send_queue_learn(s, db_int(result, row, 7));
    struct answer_ack ack = {.change = db_cursor(result, row, 2),
                             .duplicate = is_duplicate(s, result, row)};
    ack.message = ack.change.change;
    if (!ack.duplicate)
        commits_stored();
    position_saw(ack.change);
    deliveries_learned(ack.change.change);
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
    if (ok)
        commits_end((size_t)batch.count);
    int row = 0;
    struct send *s;
    STAILQ_FOREACH (s, &batch.sends, next) {
        if (ok)
            answer_send(s, result, row++, next);
        else
            answers_refuse(s->asker, db_error(result));
    }
    while (batch.count > 0)
        free(send_batch_pop(&batch));
    answers_release();
}

/* At most. */
static size_t frame_size(const struct send *s)
{
    const char *content = s->text + s->id_size;
    bool mentions = memchr(content, '@', s->content_size) != NULL;
    return (size_t)(mentions ? FRAME_ROOM + MENTION_ROOM : FRAME_ROOM) +
           event_text_size(content, s->content_size);
}

/* Ask for the messages' frames only if they are small and nothing else must be handed out first:
 * otherwise they would not be used. */
static bool wants_frames(void)
{
    size_t size = 0;
    const struct send *s;
    STAILQ_FOREACH (s, &batch.sends, next) {
        size += frame_size(s);
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
    return send_queue_count();
}

bool sends_has_work(void)
{
    return send_queue_oldest() || batch.count > 0;
}

bool sends_write(struct db *writer)
{
    send_queue_gather(&batch);
    if (batch.count == 0)
        return false;
    struct db_params params = {0};
    batch_framed = wants_frames();
    put_batch(&params);
    commits_begin();
    db_run(writer, STATEMENT_MESSAGE_SEND, &params, on_sent, NULL);
    return true;
}

void sends_link_lost(void)
{
    struct send *s;
    STAILQ_FOREACH (s, &batch.sends, next)
        s->again = true;
    send_queue_return(&batch); /* before what has come since */
    if (send_queue_oldest())
        watch_expiry();
}

void sends_free(void)
{
    while (batch.count > 0)
        free(send_batch_pop(&batch));
    while (send_queue_oldest())
        free(send_queue_take_oldest());
    send_queue_free();
}

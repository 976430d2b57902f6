/* Group commit of messages; see sends.h. */
#include "sends.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "answers.h"
#include "broker.h"
#include "clock.h"
#include "feed.h"
#include "link.h"
#include "log.h"
#include "position.h"

enum {
    BATCH_BYTES = 4 * 1024 * 1024, /* of content in one transaction */
    PATIENCE_MS = 2000,            /* how long a message waits while the database is away */
    EXPIRY_MS = 250,               /* how often to check that */

    /* PostgreSQL writes the answer before it commits, while it holds the change lock, so the answer
     * must fit into the socket's buffers in case this process stops reading. */
    FRAMES_BYTES = 64 * 1024,
    FRAME_ROOM = 300, /* for the JSON around the content */
};

struct send {
    STAILQ_ENTRY(send) next;
    struct asker asker;
    int64_t sender, receiver;
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

static struct queue waiting = {STAILQ_HEAD_INITIALIZER(waiting.sends), 0};
static struct queue batch = {STAILQ_HEAD_INITIALIZER(batch.sends), 0}; /* under way */
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

static void fail_send(struct send *s, enum ipc_error error)
{
    struct peer *p = peer_find(s->asker.peer);
    if (p)
        answers_refuse(p, s->asker.seq, error);
}

static void on_expiry(void *arg)
{
    (void)arg;
    if (link_is_up())
        return;
    int64_t oldest = clock_ms() - PATIENCE_MS;
    struct send *s;
    while ((s = STAILQ_FIRST(&waiting.sends)) && (link_is_hopeless() || s->since <= oldest)) {
        pop(&waiting);
        fail_send(s, IPC_E_UNAVAILABLE);
        free(s);
    }
    if (waiting.count > 0)
        loop_timer_set(broker.loop, &expiry, EXPIRY_MS);
}

static void watch_expiry(void)
{
    expiry.call = on_expiry;
    if (!link_is_up() && !expiry.armed)
        loop_timer_set(broker.loop, &expiry, EXPIRY_MS);
}

void sends_add(const struct peer *p, struct asker asker, const struct sending *m)
{
    if (link_is_hopeless() || waiting.count >= broker.conf.batch_queue) {
        peer_fail(asker, link_is_hopeless() ? IPC_E_UNAVAILABLE : IPC_E_OVERLOADED);
        return;
    }
    struct send *s = xcalloc(1, sizeof(*s) + m->id.n + m->content.n);
    *s = (struct send){.asker = asker,
                       .sender = p->user,
                       .receiver = m->receiver,
                       .origin = p->origin,
                       .since = clock_ms(),
                       .again = m->again,
                       .id_size = m->id.n,
                       .content_size = m->content.n};
    memcpy(s->text, m->id.p, m->id.n);
    memcpy(s->text + m->id.n, m->content.p, m->content.n);
    push(&waiting, s);
    watch_expiry();
}

/* Was it stored before the client sent it? Not if an earlier attempt of this same send stored
 * it. */
static bool is_duplicate(const struct send *s, const PGresult *result, int row)
{
    return db_bool(result, row, 4) && !(s->again && db_bool(result, row, 5));
}

static enum ipc_error refusal(const PGresult *result, int row)
{
    size_t n;
    const char *status = db_text(result, row, 1, &n);
    static const struct {
        const char *status;
        enum ipc_error error;
    } table[] = {
        {"unknown_receiver", IPC_E_UNKNOWN_RECEIVER},
        {"unknown_sender", IPC_E_UNAUTHORIZED},
        {"conflict", IPC_E_CONFLICT},
        {"invalid", IPC_E_INVALID},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (n == strlen(table[i].status) && memcmp(status, table[i].status, n) == 0)
            return table[i].error;
    return IPC_E_INTERNAL;
}

static bool is_ok(const PGresult *result, int row)
{
    size_t n;
    const char *status = db_text(result, row, 1, &n);
    return n == 2 && memcmp(status, "ok", 2) == 0;
}

/* The row as a change, for the other peers that it concerns. */
static struct event event_of(const struct send *s, const PGresult *result, int row)
{
    struct event e = {.cursor = db_cursor(result, row, 2),
                      .users = {s->receiver, s->sender},
                      .user_count = s->receiver == s->sender ? 1 : 2,
                      .origin = s->receiver == s->sender ? 0 : s->origin};
    e.frame = db_text(result, row, 6, &e.size);
    return e;
}

/* True if the whole batch is new, so that no other change lies between its messages, and it is next
 * to be handed out. */
static bool is_next(const PGresult *result)
{
    for (int i = 0; i < PQntuples(result); i++)
        if (!is_ok(result, i) || db_bool(result, i, 4))
            return false;
    return batch_framed && position_is_next(db_cursor(result, 0, 2).change);
}

/* next: the batch directly follows what this host has handed out, so hand it out here; otherwise
 * events.c reads it in its turn. */
static void answer_send(struct send *s, const PGresult *result, int row, bool next)
{
    if (!is_ok(result, row)) {
        fail_send(s, refusal(result, row));
        return;
    }
    struct answer_ack ack = {.message = db_cursor(result, row, 2),
                             .duplicate = is_duplicate(s, result, row)};
    position_saw(ack.message);
    if (next) {
        struct event e = event_of(s, result, row);
        feed_hand_out(&e);
    } else {
        position_rung(ack.message.change);
    }
    struct peer *p = peer_find(s->asker.peer);
    if (p)
        answers_ack(p, s->asker.seq, ack);
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
        if (ok)
            answer_send(s, result, row++, next);
        else
            fail_send(s, db_error(result));
    }
    while (batch.count > 0)
        free(pop(&batch));
    answers_release();
}

/* Size as a JSON string. to_json() escapes no other characters. */
static size_t escaped_size(const char *p, size_t n)
{
    size_t size = n;
    for (size_t i = 0; i < n; i++)
        if ((unsigned char)p[i] < ' ')
            size += strlen("\\u0000") - 1;
        else if (p[i] == '"' || p[i] == '\\')
            size++;
    return size;
}

/* Ask for the messages' frames only if they are small and nothing else must be handed out first:
 * otherwise they would not be used. */
static bool wants_frames(void)
{
    size_t size = 0;
    const struct send *s;
    STAILQ_FOREACH (s, &batch.sends, next) {
        size += FRAME_ROOM + escaped_size(s->text + s->id_size, s->content_size);
        if (size > FRAMES_BYTES)
            break;
    }
    return size <= FRAMES_BYTES && position_is_started() && !position_is_behind();
}

static void put_batch(struct db_params *params)
{
    size_t count = (size_t)batch.count;
    const struct send *s;
    db_param_int8(params, link_host());
    db_param_array(params, DB_INT8_OID, count);
    STAILQ_FOREACH (s, &batch.sends, next)
        db_array_int8(params, s->sender);
    db_array_end(params);
    db_param_array(params, DB_INT8_OID, count);
    STAILQ_FOREACH (s, &batch.sends, next)
        db_array_int8(params, s->receiver);
    db_array_end(params);
    db_param_array(params, DB_TEXT_OID, count);
    STAILQ_FOREACH (s, &batch.sends, next)
        db_array_text(params, s->text, s->id_size);
    db_array_end(params);
    db_param_array(params, DB_INT8_OID, count);
    STAILQ_FOREACH (s, &batch.sends, next)
        db_array_int8(params, (int64_t)s->origin);
    db_array_end(params);
    db_param_array(params, DB_TEXT_OID, count);
    STAILQ_FOREACH (s, &batch.sends, next)
        db_array_text(params, s->text + s->id_size, s->content_size);
    db_array_end(params);
    db_param_array(params, DB_BOOL_OID, count);
    STAILQ_FOREACH (s, &batch.sends, next)
        db_array_bool(params, batch_framed && feed_awaits(s->sender, s->origin, s->receiver));
    db_array_end(params);
}

bool sends_has_work(void)
{
    return waiting.count > 0 || batch.count > 0;
}

bool sends_write(struct db *writer)
{
    if (waiting.count == 0)
        return false;
    size_t bytes = 0;
    while (waiting.count > 0 && batch.count < broker.conf.batch_max && bytes < BATCH_BYTES) {
        struct send *s = pop(&waiting);
        bytes += s->content_size;
        push(&batch, s);
    }
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
    /* Put the batch back in front of what has come since. */
    STAILQ_CONCAT(&batch.sends, &waiting.sends);
    STAILQ_CONCAT(&waiting.sends, &batch.sends);
    waiting.count += batch.count;
    batch.count = 0;
    if (waiting.count > 0)
        watch_expiry();
}

void sends_free(void)
{
    while (batch.count > 0)
        free(pop(&batch));
    while (waiting.count > 0)
        free(pop(&waiting));
}

/* Answers to messages and to changes of them; see answers.h. */
#include "answers.h"

#include <stdlib.h>
#include <string.h>

#include "link.h"
#include "outbox.h"
#include "position.h"

struct held_answer {
    struct cursor wait; /* send after all changes before this one; change 0: at once */
    uint64_t message;
    uint32_t type; /* enum ipc_type of the request */
    uint32_t seq;
    uint32_t error; /* enum ipc_error */
    bool duplicate;
};

static struct buf askers; /* uint64_t ids of peers with a held_answer */

static void put_sent(struct peer *p, const struct held_answer *a)
{
    struct buf *out = &p->channel.out;
    char text[CURSOR_TEXT];
    size_t n = p->state == IPC_IS_ATTACHED ? cursor_format(text, link_tag(), p->feed.cursor) : 0;
    size_t begin = ipc_begin(out, IPC_SENT, a->seq);
    ipc_put_u64(out, a->message);
    ipc_put_u8(out, a->duplicate);
    ipc_put_text(out, text, n);
    ipc_end(out, begin);
}

static void put_answer(struct peer *p, const struct held_answer *a)
{
    peer_answering((struct asker){p->id, (enum ipc_type)a->type, a->seq});
    if (!a->error) {
        put_sent(p, a);
        return;
    }
    peer_refusing((enum ipc_error)a->error);
    size_t begin = ipc_begin(&p->channel.out, IPC_FAILED, a->seq);
    ipc_put_u32(&p->channel.out, a->error);
    ipc_end(&p->channel.out, begin);
}

void answers_put(struct peer *p, uint64_t upto)
{
    while (buf_len(&p->feed.answers) > 0) {
        struct held_answer a;
        memcpy(&a, buf_head(&p->feed.answers), sizeof(a));
        if (a.wait.change > upto)
            return;
        buf_consume(&p->feed.answers, sizeof(a));
        if (a.wait.change > p->feed.cursor.change)
            p->feed.cursor = a.wait;
        put_answer(p, &a);
    }
}

void answers_void(struct peer *p)
{
    for (; buf_len(&p->feed.answers) > 0;
         buf_consume(&p->feed.answers, sizeof(struct held_answer))) {
        struct held_answer a;
        memcpy(&a, buf_head(&p->feed.answers), sizeof(a));
        if (a.wait.change)
            a.error = IPC_E_UNAVAILABLE;
        put_answer(p, &a);
    }
}

static void put_or_hold(const struct asker *asker, struct held_answer a)
{
    struct peer *p = peer_find(asker->peer);
    if (!p)
        return;
    a.type = asker->type;
    a.seq = asker->seq;
    if (p->state != IPC_IS_ATTACHED || (!a.wait.change && buf_len(&p->feed.answers) == 0)) {
        put_answer(p, &a);
    } else {
        if (buf_len(&p->feed.answers) == 0)
            buf_append(&askers, &p->id, sizeof(p->id));
        buf_append(&p->feed.answers, &a, sizeof(a));
    }
    outbox_add(p);
}

void answers_ack(struct asker asker, struct answer_ack ack)
{
    put_or_hold(&asker, (struct held_answer){.wait = ack.change,
                                             .message = ack.message,
                                             .duplicate = ack.duplicate});
}

void answers_refuse(struct asker asker, enum ipc_error error)
{
    put_or_hold(&asker, (struct held_answer){.error = error});
}

void answers_release(void)
{
    for (size_t n = buf_len(&askers) / sizeof(uint64_t); n > 0; n--) {
        uint64_t id;
        memcpy(&id, buf_head(&askers), sizeof(id));
        buf_consume(&askers, sizeof(id));
        struct peer *p = peer_find(id);
        if (!p || buf_len(&p->feed.answers) == 0)
            continue;
        if (p->feed.state == FEED_LIVE) {
            answers_put(p, position().change);
            outbox_add(p);
        }
        if (buf_len(&p->feed.answers) > 0)
            buf_append(&askers, &id, sizeof(id));
    }
}

void answers_json(struct asker *a, const PGresult *result, enum ipc_error null)
{
    if (!db_ok(result) || PQntuples(result) != 1) {
        asker_fail(a, db_error(result));
    } else if (db_is_null(result, 0, 0)) {
        asker_fail(a, null);
    } else {
        size_t n;
        const char *json = db_text(result, 0, 0, &n);
        peer_reply(*a, 200, json, n);
        free(a);
    }
}

void answers_free(void)
{
    buf_free(&askers);
}

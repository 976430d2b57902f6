/* Messages and changes on their way; see posting.h. */
#include "posting.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "backoff.h"
#include "calls.h"
#include "clock.h"
#include "json.h"
#include "log.h"
#include "member.h"
#include "notice.h"
#include "people.h"
#include "random.h"

enum { KEY_BYTES = 16, FIRST_WAIT = 250, MOST_WAIT = 10000 };

struct sending {
    TAILQ_ENTRY(sending) entry;
    int64_t room;
    struct post *post; /* in the thread of the room; NULL: a frame has brought it */
    char key[2 * KEY_BYTES + 1];
    struct buf body;
    bool tried;
};

static TAILQ_HEAD(, sending) queue = TAILQ_HEAD_INITIALIZER(queue);
static size_t waiting;
static bool under_way;
static int64_t again, read_again;
static struct backoff backoff = {.first = FIRST_WAIT, .most = MOST_WAIT};

static void put_content(struct buf *out, struct text content)
{
    buf_puts(out, "{\"content\":");
    json_put_string(out, content.p, content.n);
}

void posting_send(struct room *r, struct text content, int64_t reply_to)
{
    struct sending *s = xcalloc(1, sizeof(*s));
    s->room = r->id;
    s->post = thread_pend(&r->thread, people_me, content);
    s->post->reply_to = reply_to;
    random_hex(s->key, KEY_BYTES);
    put_content(&s->body, content);
    if (reply_to)
        buf_printf(&s->body, ",\"reply_to\":%" PRId64, reply_to);
    buf_puts(&s->body, "}");
    TAILQ_INSERT_TAIL(&queue, s, entry);
    waiting++;
}

size_t posting_waiting(void)
{
    return waiting;
}

static void finish(struct sending *s)
{
    TAILQ_REMOVE(&queue, s, entry);
    waiting--;
    buf_free(&s->body);
    free(s);
}

/* The message, unless it went with its conversation. */
static struct post *post_of(const struct sending *s, const struct room *r)
{
    bool here = r && s->post && thread_index(&r->thread, s->post) < r->thread.count;
    return here ? s->post : NULL;
}

void posting_claim(const struct room *r, struct text content, int64_t id)
{
    struct sending *s = TAILQ_FIRST(&queue);
    struct room *its = s ? room_find(s->room) : NULL;
    struct post *p = its ? post_of(s, its) : NULL;
    if (!p || its != r || !s->tried || strcmp(p->content, content.p) != 0)
        return;
    thread_settle(&its->thread, p, id);
    s->post = NULL;
}

static void fail(struct post *p, const char *why)
{
    notice_say("not sent: %s", why);
    if (p)
        thread_set(&p->fault, (struct text){why, strlen(why)});
}

static void settle(struct room *r, struct post *p, const struct answer *a)
{
    struct json_object *o = answer_object(a);
    int64_t id = member_id(o, "message_id");
    if (id) {
        thread_settle(&r->thread, p, id);
        room_move(r, id);
        r->unread = 0;
    } else {
        fail(p, "the server's answer has no id");
    }
    json_object_put(o);
}

static void refuse(struct post *p, const struct answer *a)
{
    char said[200];
    answer_words(a, said, sizeof(said));
    fail(p, said);
}

/* Nobody knows whether it was stored: it goes again, under the same id. */
static void try_later(const struct answer *a)
{
    int64_t own = backoff_failed(&backoff), asked = (int64_t)a->retry_after * 1000;
    again = clock_ms() + (asked > own ? asked : own);
    if (a->status == 429)
        notice_say("the server asks to wait: what is not sent yet is sent later");
}

static void sent(void *arg, int64_t about, const struct answer *a)
{
    struct sending *s = (struct sending *)arg;
    (void)about;
    under_way = false;
    if (a->status == 401)
        answer_check(a);
    if (answer_temporary(a)) {
        try_later(a);
        return;
    }
    struct room *r = room_find(s->room);
    struct post *p = post_of(s, r);
    backoff_reset(&backoff);
    if (!answer_good(a))
        refuse(p, a);
    else if (p)
        settle(r, p, a);
    finish(s);
}

void posting_tick(void)
{
    char path[80];
    struct sending *s = TAILQ_FIRST(&queue);
    if (!s || under_way || clock_ms() < again)
        return;
    snprintf(path, sizeof(path), "/conversations/%" PRId64 "/messages", s->room);
    under_way = s->tried = true;
    calls_ask("POST", path, buf_text(&s->body), s->key, sent, s, 0);
}

int64_t posting_due(void)
{
    int64_t send = TAILQ_EMPTY(&queue) || under_way ? CLOCK_NEVER : again;
    int64_t read = read_again > clock_ms() ? read_again : CLOCK_NEVER;
    return send < read ? send : read;
}

void posting_hurry(void)
{
    again = read_again = 0;
}

/* --- changes --- */

static void changed(void *arg, int64_t about, const struct answer *a)
{
    char said[200];
    (void)arg;
    (void)about;
    if (a->status == 401)
        answer_check(a);
    if (answer_good(a))
        return;
    answer_words(a, said, sizeof(said));
    notice_say("not done: %s", said);
}

/* "/conversations/7/messages/91" and what follows. */
static void change(const char *method, const struct room *r, int64_t message, struct text rest,
                   struct text body)
{
    struct buf path = BUF_INIT;
    buf_printf(&path, "/conversations/%" PRId64 "/messages/%" PRId64, r->id, message);
    if (rest.n) {
        buf_puts(&path, "/reactions/");
        request_escape(&path, rest);
    }
    buf_append(&path, "", 1);
    calls_ask(method, (const char *)buf_head(&path), body, NULL, changed, NULL, 0);
    buf_free(&path);
}

static const struct text none = {NULL, 0};

void posting_edit(const struct room *r, int64_t message, struct text content)
{
    struct buf body = BUF_INIT;
    put_content(&body, content);
    buf_puts(&body, "}");
    change("PATCH", r, message, none, buf_text(&body));
    buf_free(&body);
}

void posting_delete(const struct room *r, int64_t message)
{
    change("DELETE", r, message, none, none);
}

void posting_react(const struct room *r, int64_t message, struct text emoji, bool remove)
{
    change(remove ? "DELETE" : "PUT", r, message, emoji, none);
}

void posting_leave(const struct room *r)
{
    char path[100];
    snprintf(path, sizeof(path), "/conversations/%" PRId64 "/members/%" PRId64, r->id, people_me);
    calls_ask("DELETE", path, none, NULL, changed, NULL, 0);
}

/* --- how far it was read --- */

static void was_read(void *arg, int64_t about, const struct answer *a)
{
    (void)arg;
    struct room *r = room_find(about);
    if (a->status == 401)
        answer_check(a);
    if (!answer_good(a))
        read_again = clock_ms() + MOST_WAIT;
    else if (r)
        room_read(r, r->reading);
    if (r)
        r->reading = 0;
}

void posting_read(struct room *r, int64_t message)
{
    char path[80], body[60];
    if (r->reading || message <= r->read_upto || clock_ms() < read_again)
        return;
    int n = snprintf(body, sizeof(body), "{\"message_id\":%" PRId64 "}", message);
    snprintf(path, sizeof(path), "/conversations/%" PRId64 "/read", r->id);
    r->reading = message;
    calls_ask("PUT", path, (struct text){body, (size_t)n}, NULL, was_read, NULL, r->id);
}

void posting_free(void)
{
    for (struct sending *s; (s = TAILQ_FIRST(&queue));)
        finish(s);
}

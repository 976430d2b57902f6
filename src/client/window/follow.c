/* The stream of events; see follow.h. */
#include "follow.h"

#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "backoff.h"
#include "calls.h"
#include "clock.h"
#include "fetch.h"
#include "json.h"
#include "member.h"
#include "notice.h"
#include "people.h"
#include "posting.h"
#include "program.h"
#include "reader.h"
#include "utf8.h"

enum {
    CURSOR_MAX = 256,
    FIRST_WAIT = 250,
    MOST_WAIT = 30000,
    LATEST_WAIT = 300000,
    TYPING_MS = 6000
};

static struct buf cursor;
static bool live, was_live;
static int64_t again;
static struct backoff backoff = {.first = FIRST_WAIT, .most = MOST_WAIT};
static char away[300];

bool follow_live(void)
{
    return live;
}

bool follow_began(void)
{
    return was_live;
}

const char *follow_state(void)
{
    return live ? "connected" : *away ? "trying again" : "connecting";
}

const char *follow_trouble(void)
{
    return away;
}

int64_t follow_due(void)
{
    return calls_stream_is_open() ? CLOCK_NEVER : again;
}

/* --- frames --- */

static struct room *place(struct json_object *data)
{
    struct room *r = room_find(member_id(data, "conversation_id"));
    if (!r)
        fetch_stale();
    return r;
}

/* Whoever writes has read what was there. */
static void count(struct room *r, int64_t sender, int64_t id)
{
    if (id <= r->latest)
        return;
    r->latest = id;
    if (sender == people_me)
        r->unread = 0;
    else if (r->unread < INT64_MAX) /* it came from the server */
        r->unread++;
    room_move(r, id);
}

static void take_message(struct json_object *frame, struct json_object *data)
{
    int64_t id = member_id(data, "message_id"), sender = member_id(data, "sender_id");
    struct room *r = place(data);
    people_learn(sender, member_text(data, "sender"));
    if (!r)
        return;
    if (sender == people_me)
        posting_claim(r, member_text(frame, "content"), id);
    if (r->thread.loaded)
        reader_frame(r, frame, data);
    if (r->typist == sender)
        r->typing_until = 0;
    count(r, sender, id);
}

static void take_changed(struct json_object *frame, struct json_object *data)
{
    struct room *r = place(data);
    if (r)
        reader_changed(r, frame, data);
}

/* The list says all of it. */
static void take_conversation(struct json_object *frame, struct json_object *data)
{
    (void)frame;
    (void)data;
    fetch_stale();
}

static void take_member(struct json_object *frame, struct json_object *data)
{
    int64_t user = member_id(data, "user_id");
    struct room *r = place(data);
    (void)frame;
    people_learn(user, member_text(data, "username"));
    if (r && user != people_me && member_text(data, "role").n == 0)
        room_unmark(r, user);
    if (r)
        r->members_asked = false;
    fetch_stale();
}

static void take_status(struct json_object *frame, struct json_object *data)
{
    int64_t user = member_id(data, "user_id");
    (void)frame;
    people_learn(user, member_text(data, "username"));
    people_set_online(user, member_true(data, "online"));
}

static void take_typing(struct json_object *frame, struct json_object *data)
{
    struct room *r = place(data);
    (void)frame;
    if (!r)
        return;
    r->typist = member_id(data, "user_id");
    people_learn(r->typist, member_text(data, "username"));
    r->typing_until = clock_ms() + TYPING_MS;
}

/* Another device of ours may have read a part: how much is left, the list says. */
static void take_own_receipt(struct room *r, int64_t read)
{
    bool part = read > r->read_upto && read < r->latest;
    room_read(r, read);
    if (part)
        fetch_stale();
}

static void take_receipt(struct json_object *frame, struct json_object *data)
{
    int64_t user = member_id(data, "user_id"), read = member_id(data, "read_upto");
    struct room *r = place(data);
    (void)frame;
    if (r && user == people_me)
        take_own_receipt(r, read);
    else if (r)
        room_mark(r, user, member_id(data, "delivered_upto"), read);
}

/* Changes were lost, or the cursor is another database's: nothing that is here counts. */
static void start_over(void)
{
    for (size_t i = 0; i < room_count(); i++)
        thread_forget(&room_at(i)->thread);
    notice_say("the server does not know where this has stopped: the histories are read again");
}

/* Presence and receipts do not come again: the list has them. */
static void take_resumed(struct json_object *frame, struct json_object *data)
{
    (void)frame;
    if (was_live && !member_true(data, "recovered"))
        start_over();
    if (*away)
        notice_say("connected again");
    live = was_live = true;
    away[0] = '\0';
    backoff_reset(&backoff);
    posting_hurry();
    fetch_reset();
    fetch_stale();
}

/* The stream's last line: nobody may go on with this token. */
static void take_error(struct json_object *frame, struct json_object *data)
{
    (void)data;
    program_fail(CHAT_DENIED, "%.500s (chat login)", member_text(frame, "error").p);
}

static void move_cursor(struct json_object *data)
{
    struct text t = member_text(data, "cursor");
    if (t.n == 0 || t.n >= CURSOR_MAX || !utf8_inline(t.p, t.n))
        return;
    buf_consume(&cursor, buf_len(&cursor));
    buf_append(&cursor, t.p, t.n);
}

static void take_frame(struct json_object *frame)
{
    static const struct {
        const char *type;
        void (*take)(struct json_object *frame, struct json_object *data);
    } kinds[] = {
        {"message", take_message},
        {"message_changed", take_changed},
        {"conversation", take_conversation},
        {"member", take_member},
        {"user_status", take_status},
        {"typing", take_typing},
        {"receipt", take_receipt},
        {"resumed", take_resumed},
        {"error", take_error},
    };
    struct text type = member_text(frame, "type");
    struct json_object *data = NULL;
    json_get_object(frame, "data", &data);
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(type.p, kinds[i].type) == 0)
            kinds[i].take(frame, data);
    move_cursor(data);
}

static void take_line(struct text line)
{
    const char *error;
    struct json_object *frame = json_parse_object(line.p, line.n, &error);
    if (!frame)
        program_fail(CHAT_FAILED, "this is no stream of chatd: %s", error);
    take_frame(frame);
    json_object_put(frame);
}

/* --- the connection --- */

/* A server that was reached once is waited for; one that refuses is not. */
static void lost(const struct answer *a)
{
    int64_t own = backoff_failed(&backoff), asked = (int64_t)a->retry_after * 1000;
    if (a->status != 200 && !answer_temporary(a))
        answer_check(a);
    if (a->status == 200)
        snprintf(away, sizeof(away), "the connection was lost");
    else
        answer_words(a, away, sizeof(away));
    again = clock_ms() + (asked > LATEST_WAIT ? LATEST_WAIT : asked > 0 ? asked : own);
    live = false;
    calls_stream_close();
    fetch_reset();
}

static void open_stream(void)
{
    if (clock_ms() >= again)
        calls_stream_open(buf_text(&cursor));
}

void follow_tick(void)
{
    struct text line;
    if (!calls_stream_is_open())
        open_stream();
    while (!fetch_busy() && calls_stream_line(&line))
        take_line(line);
    const struct answer *ended = calls_stream_ended();
    if (ended)
        lost(ended); /* what is still there comes again, by the cursor */
}

void follow_free(void)
{
    buf_free(&cursor);
}

/* From JSON to what is kept; see reader.h. */
#include "reader.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <string.h>

#include "buf.h"
#include "json.h"
#include "member.h"
#include "people.h"
#include "show.h"

/* --- conversations --- */

static void read_label(struct room *r, struct text name)
{
    char label[300];
    snprintf(label, sizeof(label), "%s%.256s", r->peer ? "" : "#", name.p);
    thread_set(&r->label, (struct text){label, strlen(label)});
}

static void read_peer(struct room *r, struct json_object *peer)
{
    r->peer = member_id(peer, "id");
    people_learn(r->peer, member_text(peer, "username"));
    people_set_online(r->peer, member_true(peer, "online"));
    if (r->peer != people_me)
        room_mark(r, r->peer, member_id(peer, "delivered_upto"), member_id(peer, "read_upto"));
    r->marks_known = true;
    read_label(r, member_text(peer, "username"));
}

struct room *reader_room(struct json_object *o, int64_t rank)
{
    struct json_object *peer, *last = NULL;
    int64_t id = member_id(o, "id");
    if (!id)
        return NULL;
    struct room *r = room_get(id);
    if (json_get_object(o, "peer", &peer) == JSON_OK)
        read_peer(r, peer);
    else
        read_label(r, member_text(o, "name"));
    json_get_object(o, "last_message", &last);
    r->members = member_id(o, "member_count");
    r->unread = member_id(o, "unread");
    r->read_upto = member_id(o, "read_upto");
    r->latest = last ? member_id(last, "id") : r->latest;
    room_move(r, last ? r->latest : rank);
    r->listed = true;
    return r;
}

static void read_member(struct room *r, struct json_object *o)
{
    int64_t id = member_id(o, "user_id");
    if (!id)
        return;
    people_learn(id, member_text(o, "username"));
    people_set_online(id, member_true(o, "online"));
    if (id != people_me)
        room_mark(r, id, member_id(o, "delivered_upto"), member_id(o, "read_upto"));
}

void reader_members(struct room *r, struct json_object *list)
{
    for (size_t i = 0; i < json_object_array_length(list); i++)
        read_member(r, json_object_array_get_idx(list, i));
}

/* --- messages --- */

static void read_reactions(struct post *p, struct json_object *o)
{
    struct buf out = BUF_INIT;
    struct json_object *list = member_array(o, "reactions");
    for (size_t i = 0; list && i < json_object_array_length(list); i++) {
        struct json_object *one = json_object_array_get_idx(list, i);
        buf_printf(&out, " [%s %" PRId64 "]", member_text(one, "emoji").p, member_id(one, "count"));
    }
    thread_set(&p->reactions, (struct text){buf_len(&out) ? buf_text(&out).p : "", buf_len(&out)});
    buf_free(&out);
}

/* What can change, wherever it stands. */
static void read_state(struct post *p, struct json_object *o, struct text content)
{
    thread_set(&p->content, content);
    p->edited = member_text(o, "edited_at").n > 0;
    p->deleted = member_true(o, "deleted");
    read_reactions(p, o);
}

static struct post *read_origin(struct room *r, struct json_object *o, int64_t id)
{
    struct post *p = thread_post(&r->thread, id);
    p->sender = member_id(o, "sender_id");
    p->reply_to = member_id(o, "reply_to");
    if (!show_moment(member_text(o, "created_at"), &p->at))
        p->at = 0;
    return p;
}

void reader_post(struct room *r, struct json_object *o)
{
    int64_t id = member_id(o, "id");
    if (id)
        read_state(read_origin(r, o, id), o, member_text(o, "content"));
}

void reader_frame(struct room *r, struct json_object *frame, struct json_object *data)
{
    int64_t id = member_id(data, "message_id");
    if (id)
        read_state(read_origin(r, data, id), data, member_text(frame, "content"));
}

void reader_changed(struct room *r, struct json_object *frame, struct json_object *data)
{
    struct post *p = thread_find(&r->thread, member_id(data, "message_id"));
    if (p && p->id)
        read_state(p, data, member_text(frame, "content"));
}

/* Lines for people; see message.h. */
#include "message.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <string.h>

#include "json.h"
#include "labels.h"
#include "member.h"
#include "show.h"

static struct text label(const char *s)
{
    return (struct text){s, strlen(s)};
}

/* The text, and what has become of it. */
static void put_content(struct buf *out, struct json_object *message, struct text content)
{
    if (member_true(message, "deleted")) {
        show_styled(out, SHOW_DIM, label("(deleted)"));
        return;
    }
    show_lines(out, content);
    if (member_text(message, "edited_at").n)
        show_styled(out, SHOW_DIM, label(" (edited)"));
}

/* "12:00 [#Team] alice: " */
static void put_head(struct buf *out, struct json_object *o, int64_t place, struct text sender)
{
    show_time(out, member_text(o, "created_at"));
    buf_puts(out, " ");
    if (place) {
        buf_puts(out, "[");
        show_put(out, label(label_of_conversation(place)));
        buf_puts(out, "] ");
    }
    show_styled(out, SHOW_BOLD, sender);
    buf_puts(out, ": ");
}

void message_put(struct buf *out, struct json_object *message)
{
    put_head(out, message, 0, label(label_of_user(member_id(message, "sender_id"))));
    put_content(out, message, member_text(message, "content"));
    buf_puts(out, "\n");
}

static void put_message(struct buf *out, struct json_object *frame, struct json_object *data)
{
    put_head(out, data, member_id(data, "conversation_id"), member_text(data, "sender"));
    put_content(out, data, member_text(frame, "content"));
    buf_puts(out, "\n");
}

static void put_place(struct buf *out, struct json_object *data)
{
    buf_puts(out, "[");
    show_put(out, label(label_of_conversation(member_id(data, "conversation_id"))));
    buf_puts(out, "] ");
}

static void put_reactions(struct buf *out, struct json_object *data)
{
    struct json_object *list = member_array(data, "reactions");
    for (size_t i = 0; list && i < json_object_array_length(list); i++) {
        struct json_object *o = json_object_array_get_idx(list, i);
        buf_puts(out, " [");
        show_put(out, member_text(o, "emoji"));
        buf_printf(out, " %" PRId64 "]", member_id(o, "count"));
    }
}

static void put_changed(struct buf *out, struct json_object *frame, struct json_object *data)
{
    put_place(out, data);
    buf_printf(out, "message %" PRId64 " is now: ", member_id(data, "message_id"));
    put_content(out, data, member_text(frame, "content"));
    put_reactions(out, data);
    buf_puts(out, "\n");
}

/* A name that may have changed is asked for again. */
static void put_conversation(struct buf *out, struct json_object *frame, struct json_object *data)
{
    (void)frame;
    label_forget_conversation(member_id(data, "conversation_id"));
    put_place(out, data);
    buf_printf(out, "is a group of %" PRId64 "\n", member_id(data, "member_count"));
}

static void put_member(struct buf *out, struct json_object *frame, struct json_object *data)
{
    (void)frame;
    struct text role = member_text(data, "role");
    put_place(out, data);
    show_styled(out, SHOW_BOLD, member_text(data, "username"));
    buf_puts(out, role.n ? " is here now, as " : " has left");
    show_put(out, role);
    buf_puts(out, "\n");
}

static void put_status(struct buf *out, struct json_object *frame, struct json_object *data)
{
    (void)frame;
    show_styled(out, SHOW_BOLD, member_text(data, "username"));
    buf_puts(out, member_true(data, "online") ? " is online\n" : " is offline\n");
}

void message_put_frame(struct buf *out, struct json_object *frame)
{
    static const struct {
        const char *type;
        void (*put)(struct buf *out, struct json_object *frame, struct json_object *data);
    } kinds[] = {
        {"message", put_message},           {"message_changed", put_changed},
        {"conversation", put_conversation}, {"member", put_member},
        {"user_status", put_status},
    };
    struct text type = member_text(frame, "type");
    struct json_object *data;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(type.p, kinds[i].type) == 0 && json_get_object(frame, "data", &data) == JSON_OK)
            kinds[i].put(out, frame, data);
}

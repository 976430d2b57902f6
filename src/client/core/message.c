/* Lines for people; see message.h. */
#include "message.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <string.h>

#include "json.h"
#include "labels.h"
#include "show.h"

static struct text member(struct json_object *o, const char *key)
{
    struct text t = {"", 0};
    return json_get_text(o, key, &t) == JSON_OK ? t : (struct text){"", 0};
}

static int64_t number(struct json_object *o, const char *key)
{
    int64_t id = 0;
    return json_get_id(o, key, &id) == JSON_OK ? id : 0;
}

static bool is_true(struct json_object *o, const char *key)
{
    bool value = false;
    return json_get_bool(o, key, &value) == JSON_OK && value;
}

static struct text label(const char *s)
{
    return (struct text){s, strlen(s)};
}

/* The text, and what has become of it. */
static void put_content(struct buf *out, struct json_object *message, struct text content)
{
    if (is_true(message, "deleted")) {
        show_styled(out, SHOW_DIM, label("(deleted)"));
        return;
    }
    show_lines(out, content);
    if (member(message, "edited_at").n)
        show_styled(out, SHOW_DIM, label(" (edited)"));
}

/* "12:00 [#Team] alice: " */
static void put_head(struct buf *out, struct json_object *o, int64_t place, struct text sender)
{
    show_time(out, member(o, "created_at"));
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
    put_head(out, message, 0, label(label_of_user(number(message, "sender_id"))));
    put_content(out, message, member(message, "content"));
    buf_puts(out, "\n");
}

static void put_message(struct buf *out, struct json_object *frame, struct json_object *data)
{
    put_head(out, data, number(data, "conversation_id"), member(data, "sender"));
    put_content(out, data, member(frame, "content"));
    buf_puts(out, "\n");
}

static void put_place(struct buf *out, struct json_object *data)
{
    buf_puts(out, "[");
    show_put(out, label(label_of_conversation(number(data, "conversation_id"))));
    buf_puts(out, "] ");
}

static void put_reactions(struct buf *out, struct json_object *data)
{
    struct json_object *list;
    if (!json_object_object_get_ex(data, "reactions", &list) ||
        !json_object_is_type(list, json_type_array))
        return;
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *o = json_object_array_get_idx(list, i);
        buf_puts(out, " [");
        show_put(out, member(o, "emoji"));
        buf_printf(out, " %" PRId64 "]", number(o, "count"));
    }
}

static void put_changed(struct buf *out, struct json_object *frame, struct json_object *data)
{
    put_place(out, data);
    buf_printf(out, "message %" PRId64 " is now: ", number(data, "message_id"));
    put_content(out, data, member(frame, "content"));
    put_reactions(out, data);
    buf_puts(out, "\n");
}

/* A name that may have changed is asked for again. */
static void put_conversation(struct buf *out, struct json_object *frame, struct json_object *data)
{
    (void)frame;
    label_forget_conversation(number(data, "conversation_id"));
    put_place(out, data);
    buf_printf(out, "is a group of %" PRId64 "\n", number(data, "member_count"));
}

static void put_member(struct buf *out, struct json_object *frame, struct json_object *data)
{
    (void)frame;
    struct text role = member(data, "role");
    put_place(out, data);
    show_styled(out, SHOW_BOLD, member(data, "username"));
    buf_puts(out, role.n ? " is here now, as " : " has left");
    show_put(out, role);
    buf_puts(out, "\n");
}

static void put_status(struct buf *out, struct json_object *frame, struct json_object *data)
{
    (void)frame;
    show_styled(out, SHOW_BOLD, member(data, "username"));
    buf_puts(out, is_true(data, "online") ? " is online\n" : " is offline\n");
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
    struct text type = member(frame, "type");
    struct json_object *data;
    for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++)
        if (strcmp(type.p, kinds[i].type) == 0 && json_get_object(frame, "data", &data) == JSON_OK)
            kinds[i].put(out, frame, data);
}

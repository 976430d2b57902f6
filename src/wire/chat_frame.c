/* Chat frames; see chat_frame.h. */
#include "chat_frame.h"

#include <json-c/json.h>
#include <string.h>

#include "buf.h"
#include "emoji.h"
#include "json.h"

static void refuse_frame(struct chat_frame *f, const char *code, const char *error)
{
    f->type = CHAT_INVALID;
    f->code = code;
    f->error = error;
}

static bool read_id(struct chat_frame *f)
{
    struct text id;
    switch (json_get_text(f->json, "id", &id)) {
    case JSON_ABSENT:
        return true;
    case JSON_OK:
        if (id.n >= 1 && id.n <= CHAT_MAX_ID) {
            f->id = id;
            return true;
        }
        break;
    case JSON_WRONG_TYPE:
        break;
    }
    refuse_frame(f, "bad_field", "\"id\" must be a string of 1 to 64 bytes");
    return false;
}

const char *chat_content_error(size_t size, size_t max_content)
{
    if (size == 0)
        return "\"content\" must not be empty";
    if (size > max_content)
        return "\"content\" is too long";
    return NULL;
}

static void read_receiver(struct chat_frame *f)
{
    struct json_object *data;
    if (json_get_object(f->json, "data", &data) != JSON_OK)
        refuse_frame(f, "bad_field", "\"data\" must be an object with \"receiver_id\"");
    else if (json_get_id(data, "receiver_id", &f->receiver) != JSON_OK)
        refuse_frame(f, "bad_field",
                     "\"data.receiver_id\" must be a user id, a whole number above zero");
}

static const char bad_conversation[] =
    "\"data.conversation_id\" must be a conversation's id, a whole number above zero";

/* As read_receiver(), or the conversation. */
static void read_addressee(struct chat_frame *f)
{
    struct json_object *data;
    if (json_get_object(f->json, "data", &data) != JSON_OK ||
        json_get_id(data, "conversation_id", &f->conversation) == JSON_ABSENT)
        read_receiver(f);
    else if (json_get_id(data, "receiver_id", &f->receiver) != JSON_ABSENT)
        refuse_frame(f, "bad_field",
                     "\"data\" must have \"receiver_id\" or \"conversation_id\", not both");
    else if (f->conversation == 0)
        refuse_frame(f, "bad_field", bad_conversation);
}

static void read_reply(struct chat_frame *f)
{
    struct json_object *data;
    if (json_get_object(f->json, "data", &data) == JSON_OK &&
        json_get_id(data, "reply_to", &f->reply_to) == JSON_WRONG_TYPE)
        refuse_frame(f, "bad_field",
                     "\"data.reply_to\" must be a message's id, a whole number above zero");
}

static bool read_content(struct chat_frame *f, size_t max_content)
{
    if (json_get_text(f->json, "content", &f->content) != JSON_OK) {
        refuse_frame(f, "bad_field", "\"content\" must be a string");
        return false;
    }
    const char *wrong = chat_content_error(f->content.n, max_content);
    if (wrong)
        refuse_frame(f, f->content.n ? "too_large" : "bad_field", wrong);
    return !wrong;
}

static void read_message(struct chat_frame *f, size_t max_content)
{
    f->type = CHAT_MESSAGE;
    if (!read_content(f, max_content))
        return;
    read_addressee(f);
    if (f->type == CHAT_MESSAGE)
        read_reply(f);
}

/* Which message is meant. */
static void read_place(struct chat_frame *f, enum chat_type type)
{
    struct json_object *data;
    f->type = type;
    if (json_get_object(f->json, "data", &data) != JSON_OK)
        refuse_frame(f, "bad_field",
                     "\"data\" must be an object with \"conversation_id\" and \"message_id\"");
    else if (json_get_id(data, "conversation_id", &f->conversation) != JSON_OK)
        refuse_frame(f, "bad_field", bad_conversation);
    else if (json_get_id(data, "message_id", &f->message) != JSON_OK)
        refuse_frame(f, "bad_field",
                     "\"data.message_id\" must be a message's id, a whole number above zero");
}

static void read_edit(struct chat_frame *f, size_t max_content)
{
    f->type = CHAT_EDIT;
    if (read_content(f, max_content))
        read_place(f, CHAT_EDIT);
}

static void read_react(struct chat_frame *f)
{
    struct json_object *data;
    read_place(f, CHAT_REACT);
    if (f->type == CHAT_INVALID)
        return;
    json_get_object(f->json, "data", &data);
    if (json_get_text(data, "emoji", &f->content) != JSON_OK || !emoji_fits(f->content))
        refuse_frame(f, "bad_field",
                     "\"data.emoji\" must be a string of 1 to 32 bytes, without spaces and control "
                     "characters");
    else if (json_get_bool(data, "remove", &f->removes) == JSON_WRONG_TYPE)
        refuse_frame(f, "bad_field", "\"data.remove\" must be true or false");
}

static void read_typing(struct chat_frame *f)
{
    f->type = CHAT_TYPING;
    read_addressee(f);
}

/* "data" and its "cursor" may be missing: then nothing is resumed, and the client learns where it
 * is. */
static void read_resume(struct chat_frame *f)
{
    struct json_object *data;
    enum json_get got = json_get_object(f->json, "data", &data);
    f->type = CHAT_RESUME;
    f->cursor.p = "";
    if (got == JSON_OK)
        got = json_get_text(data, "cursor", &f->cursor);
    if (got == JSON_WRONG_TYPE)
        refuse_frame(f, "bad_field", "\"data\" must be an object, and \"data.cursor\" a string");
}

static void read_auth(struct chat_frame *f)
{
    struct json_object *data;
    f->type = CHAT_AUTH;
    if (json_get_object(f->json, "data", &data) != JSON_OK)
        refuse_frame(f, "bad_field", "\"data\" must be an object with \"token\"");
    else if (json_get_text(data, "token", &f->token) != JSON_OK || f->token.n == 0)
        refuse_frame(f, "bad_field", "\"data.token\" must be a string, a token as /login gives it");
}

static const char unknown_type[] =
    "Unknown \"type\"; known are \"message\", \"edit\", \"delete\", \"react\", \"typing\", "
    "\"read\", \"delivered\", \"resume\", \"auth\" and \"ping\"";

void chat_frame_parse(struct chat_frame *f, const char *text, size_t n, size_t max_content)
{
    const char *error;
    struct text type;
    *f = (struct chat_frame){.type = CHAT_INVALID};
    f->json = json_parse_object(text, n, &error);
    if (!f->json) {
        refuse_frame(f, "bad_json", error);
        return;
    }
    if (!read_id(f))
        return;
    if (json_get_text(f->json, "type", &type) != JSON_OK)
        refuse_frame(f, "bad_field", "\"type\" must be a string, such as \"message\"");
    else if (type.n == 7 && memcmp(type.p, "message", 7) == 0)
        read_message(f, max_content);
    else if (type.n == 6 && memcmp(type.p, "resume", 6) == 0)
        read_resume(f);
    else if (type.n == 4 && memcmp(type.p, "auth", 4) == 0)
        read_auth(f);
    else if (type.n == 4 && memcmp(type.p, "ping", 4) == 0)
        f->type = CHAT_PING;
    else if (type.n == 6 && memcmp(type.p, "typing", 6) == 0)
        read_typing(f);
    else if (type.n == 4 && memcmp(type.p, "read", 4) == 0)
        read_place(f, CHAT_READ);
    else if (type.n == 9 && memcmp(type.p, "delivered", 9) == 0)
        read_place(f, CHAT_DELIVERED);
    else if (type.n == 4 && memcmp(type.p, "edit", 4) == 0)
        read_edit(f, max_content);
    else if (type.n == 6 && memcmp(type.p, "delete", 6) == 0)
        read_place(f, CHAT_DELETE);
    else if (type.n == 5 && memcmp(type.p, "react", 5) == 0)
        read_react(f);
    else
        refuse_frame(f, "unknown_type", unknown_type);
}

void chat_frame_free(struct chat_frame *f)
{
    json_object_put(f->json);
    *f = (struct chat_frame){.type = CHAT_INVALID};
}

static void put_id(struct buf *out, struct text id)
{
    if (!id.p)
        return;
    buf_puts(out, ",\"id\":");
    json_put_string(out, id.p, id.n);
}

void chat_put_error(struct buf *out, struct text id, const char *code, bool temporary,
                    const char *text)
{
    buf_puts(out, "{\"type\":\"error\"");
    put_id(out, id);
    buf_puts(out, ",\"error\":");
    json_put_string(out, text, strlen(text));
    buf_printf(out, ",\"data\":{\"code\":\"%s\",\"temporary\":%s}}", code,
               temporary ? "true" : "false");
}

void chat_put_ack(struct buf *out, struct text id, uint64_t message, struct text cursor,
                  const bool *duplicate)
{
    buf_puts(out, "{\"type\":\"ack\"");
    put_id(out, id);
    buf_printf(out, ",\"data\":{\"message_id\":%llu,\"cursor\":", (unsigned long long)message);
    json_put_string(out, cursor.p, cursor.n);
    if (duplicate)
        buf_puts(out, *duplicate ? ",\"duplicate\":true" : ",\"duplicate\":false");
    buf_puts(out, "}}");
}

void chat_put_resumed(struct buf *out, struct text id, struct text cursor, bool recovered)
{
    buf_puts(out, "{\"type\":\"resumed\"");
    put_id(out, id);
    buf_puts(out, ",\"data\":{\"cursor\":");
    json_put_string(out, cursor.p, cursor.n);
    buf_printf(out, ",\"recovered\":%s}}", recovered ? "true" : "false");
}

void chat_put_authenticated(struct buf *out, struct text id, int64_t user, int64_t expires_in)
{
    buf_puts(out, "{\"type\":\"authenticated\"");
    put_id(out, id);
    buf_printf(out, ",\"data\":{\"user_id\":%lld,\"expires_in\":%lld}}", (long long)user,
               (long long)expires_in);
}

void chat_put_pong(struct buf *out, struct text id)
{
    buf_puts(out, "{\"type\":\"pong\"");
    put_id(out, id);
    buf_puts(out, "}");
}

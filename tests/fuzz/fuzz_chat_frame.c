/*
 * Chat frames: what is accepted is within its bounds and, written again, means the same; and
 * whatever the id of a frame is, the answers that carry it are JSON.
 */
#include "fuzz.h"

#include <json-c/json.h>

#include "buf.h"
#include "chat_frame.h"
#include "emoji.h"
#include "json.h"
#include "utf8.h"

enum { MAX_CONTENT = 300 };

static bool is_receipt(const struct chat_frame *f)
{
    return f->type == CHAT_READ || f->type == CHAT_DELIVERED;
}

static bool names_message(const struct chat_frame *f)
{
    return is_receipt(f) || f->type == CHAT_EDIT || f->type == CHAT_DELETE || f->type == CHAT_REACT;
}

static void put_again(struct buf *out, const struct chat_frame *f)
{
    buf_puts(out, f->type == CHAT_MESSAGE  ? "{\"type\":\"message\""
                  : f->type == CHAT_RESUME ? "{\"type\":\"resume\""
                  : f->type == CHAT_AUTH   ? "{\"type\":\"auth\""
                  : f->type == CHAT_TYPING ? "{\"type\":\"typing\""
                  : f->type == CHAT_READ   ? "{\"type\":\"read\""
                  : is_receipt(f)          ? "{\"type\":\"delivered\""
                  : f->type == CHAT_EDIT   ? "{\"type\":\"edit\""
                  : f->type == CHAT_DELETE ? "{\"type\":\"delete\""
                  : f->type == CHAT_REACT  ? "{\"type\":\"react\""
                                           : "{\"type\":\"ping\"");
    if (f->id.p) {
        buf_puts(out, ",\"id\":");
        json_put_string(out, f->id.p, f->id.n);
    }
    if (f->content.p && f->type != CHAT_REACT) {
        buf_puts(out, ",\"content\":");
        json_put_string(out, f->content.p, f->content.n);
    }
    if (f->type == CHAT_MESSAGE || f->type == CHAT_TYPING) {
        buf_printf(out, ",\"data\":{\"%s\":%lld", f->receiver ? "receiver_id" : "conversation_id",
                   (long long)(f->receiver ? f->receiver : f->conversation));
        if (f->reply_to)
            buf_printf(out, ",\"reply_to\":%lld", (long long)f->reply_to);
        buf_puts(out, "}");
    } else if (names_message(f)) {
        buf_printf(out, ",\"data\":{\"conversation_id\":%lld,\"message_id\":%lld",
                   (long long)f->conversation, (long long)f->message);
        if (f->type == CHAT_REACT) {
            buf_puts(out, ",\"emoji\":");
            json_put_string(out, f->content.p, f->content.n);
            buf_printf(out, ",\"remove\":%s", f->removes ? "true" : "false");
        }
        buf_puts(out, "}");
    } else if (f->type == CHAT_RESUME) {
        buf_puts(out, ",\"data\":{\"cursor\":");
        json_put_string(out, f->cursor.p, f->cursor.n);
        buf_puts(out, "}");
    } else if (f->type == CHAT_AUTH) {
        buf_puts(out, ",\"data\":{\"token\":");
        json_put_string(out, f->token.p, f->token.n);
        buf_puts(out, "}");
    }
    buf_puts(out, "}");
}

static void require_same(struct text a, struct text b)
{
    REQUIRE(a.n == b.n && (a.p == NULL) == (b.p == NULL));
    REQUIRE(a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

static void check_again(const struct chat_frame *f)
{
    struct buf text = BUF_INIT;
    struct chat_frame g;
    put_again(&text, f);
    chat_frame_parse(&g, (char *)buf_head(&text), buf_len(&text), MAX_CONTENT);
    REQUIRE(f->type == g.type && f->receiver == g.receiver);
    REQUIRE(f->conversation == g.conversation && f->message == g.message);
    REQUIRE(f->reply_to == g.reply_to && f->removes == g.removes);
    require_same(f->id, g.id);
    require_same(f->content, g.content);
    require_same(f->cursor, g.cursor);
    require_same(f->token, g.token);
    chat_frame_free(&g);
    buf_free(&text);
}

static void check_answers(const struct chat_frame *f)
{
    struct buf out[5] = {BUF_INIT, BUF_INIT, BUF_INIT, BUF_INIT, BUF_INIT};
    const char *error;
    chat_put_pong(&out[0], f->id);
    chat_put_error(&out[1], f->id, "code", true, f->error ? f->error : "text");
    chat_put_ack(&out[2], f->id, UINT64_MAX, (struct text){"c", 1}, &(bool){false});
    chat_put_resumed(&out[3], f->id, (struct text){"c", 1}, true);
    chat_put_authenticated(&out[4], f->id, INT64_MAX, INT64_MAX);
    for (int i = 0; i < 5; i++) {
        REQUIRE(json_check((char *)buf_head(&out[i]), buf_len(&out[i]), 2, &error));
        buf_free(&out[i]);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct chat_frame f;
    chat_frame_parse(&f, (const char *)data, size, MAX_CONTENT);
    REQUIRE((f.type == CHAT_INVALID) == (f.error != NULL) && !f.code == !f.error);
    REQUIRE(f.id.p ? f.id.n >= 1 && f.id.n <= CHAT_MAX_ID : f.id.n == 0);
    if (f.type == CHAT_MESSAGE)
        REQUIRE(f.content.n >= 1 && f.content.n <= MAX_CONTENT &&
                (f.receiver > 0) + (f.conversation > 0) == 1 &&
                utf8_valid((const uint8_t *)f.content.p, f.content.n));
    if (f.type == CHAT_TYPING)
        REQUIRE((f.receiver > 0) + (f.conversation > 0) == 1);
    if (names_message(&f))
        REQUIRE(f.conversation > 0 && f.message > 0);
    if (f.type == CHAT_EDIT)
        REQUIRE(f.content.n >= 1 && f.content.n <= MAX_CONTENT);
    if (f.type == CHAT_REACT)
        REQUIRE(emoji_fits(f.content));
    if (f.type == CHAT_AUTH)
        REQUIRE(f.token.n >= 1 && utf8_valid((const uint8_t *)f.token.p, f.token.n));
    if (f.type != CHAT_INVALID)
        check_again(&f);
    check_answers(&f);
    chat_frame_free(&f);
    return 0;
}

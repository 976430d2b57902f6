/*
 * Chat frames: what is accepted is within its bounds and, written again, means the same; and
 * whatever the id of a frame is, the answers that carry it are JSON.
 */
#include "fuzz.h"

#include <json-c/json.h>

#include "buf.h"
#include "chat_frame.h"
#include "json.h"
#include "utf8.h"

enum { MAX_CONTENT = 300 };

static void put_again(struct buf *out, const struct chat_frame *f)
{
    buf_puts(out, f->type == CHAT_MESSAGE  ? "{\"type\":\"message\""
                  : f->type == CHAT_RESUME ? "{\"type\":\"resume\""
                  : f->type == CHAT_AUTH   ? "{\"type\":\"auth\""
                                           : "{\"type\":\"ping\"");
    if (f->id) {
        buf_puts(out, ",\"id\":");
        json_put_string(out, f->id, f->id_size);
    }
    if (f->type == CHAT_MESSAGE) {
        buf_puts(out, ",\"content\":");
        json_put_string(out, f->content, f->content_size);
        buf_printf(out, ",\"data\":{\"receiver_id\":%lld}", (long long)f->receiver);
    } else if (f->type == CHAT_RESUME) {
        buf_puts(out, ",\"data\":{\"cursor\":");
        json_put_string(out, f->cursor, f->cursor_size);
        buf_puts(out, "}");
    } else if (f->type == CHAT_AUTH) {
        buf_puts(out, ",\"data\":{\"token\":");
        json_put_string(out, f->token, f->token_size);
        buf_puts(out, "}");
    }
    buf_puts(out, "}");
}

static void require_same(const char *a, size_t a_size, const char *b, size_t b_size)
{
    REQUIRE(a_size == b_size && (a == NULL) == (b == NULL));
    REQUIRE(a_size == 0 || memcmp(a, b, a_size) == 0);
}

static void check_again(const struct chat_frame *f)
{
    struct buf text = BUF_INIT;
    struct chat_frame g;
    put_again(&text, f);
    chat_frame_parse(&g, (char *)buf_head(&text), buf_len(&text), MAX_CONTENT);
    REQUIRE(f->type == g.type && f->receiver == g.receiver);
    require_same(f->id, f->id_size, g.id, g.id_size);
    require_same(f->content, f->content_size, g.content, g.content_size);
    require_same(f->cursor, f->cursor_size, g.cursor, g.cursor_size);
    require_same(f->token, f->token_size, g.token, g.token_size);
    chat_frame_free(&g);
    buf_free(&text);
}

static void check_answers(const struct chat_frame *f)
{
    struct buf out[5] = {BUF_INIT, BUF_INIT, BUF_INIT, BUF_INIT, BUF_INIT};
    const char *error;
    chat_put_pong(&out[0], f->id, f->id_size);
    chat_put_error(&out[1], f->id, f->id_size, "code", true, f->error ? f->error : "text");
    chat_put_ack(&out[2], f->id, f->id_size, UINT64_MAX, "c", 1, false);
    chat_put_resumed(&out[3], f->id, f->id_size, "c", 1, true);
    chat_put_authenticated(&out[4], f->id, f->id_size, INT64_MAX, INT64_MAX);
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
    REQUIRE(f.id ? f.id_size >= 1 && f.id_size <= CHAT_MAX_ID : f.id_size == 0);
    if (f.type == CHAT_MESSAGE)
        REQUIRE(f.content_size >= 1 && f.content_size <= MAX_CONTENT && f.receiver > 0 &&
                utf8_valid((const uint8_t *)f.content, f.content_size));
    if (f.type == CHAT_AUTH)
        REQUIRE(f.token_size >= 1 && utf8_valid((const uint8_t *)f.token, f.token_size));
    if (f.type != CHAT_INVALID)
        check_again(&f);
    check_answers(&f);
    chat_frame_free(&f);
    return 0;
}

/*
 * WebSocket: the input as a client's frames, which mean the same in whatever pieces they come, with
 * compression and without; and the input as a message, sent in masked frames of random lengths,
 * plain or compressed, which must come out as it was.
 */
#include "fuzz.h"

#include "buf.h"
#include "utf8.h"
#include "ws.h"

enum { MAX_MESSAGE = 1000, MAX_SKIP = 3000, RSV1 = 0x40 };

static const struct ws_deflate agreed = {.on = true};

/* Appends what ws_read() finds in the bytes to a record. */
static void record(struct buf *trace, const uint8_t *data, size_t size, bool deflate,
                   struct draw *d)
{
    struct ws_reader r;
    struct buf in = BUF_INIT;
    ws_reader_init(&r, MAX_MESSAGE, MAX_SKIP);
    if (deflate)
        ws_reader_allow_deflate(&r, &agreed);
    for (size_t at = 0; at < size;) {
        size_t n = d ? draw_piece(d, size - at) : size;
        struct ws_data got;
        enum ws_event event;
        buf_append(&in, data + at, n);
        at += n;
        while ((event = ws_read(&r, &in, &got)) != WS_NEED_MORE) {
            REQUIRE(got.n <= MAX_MESSAGE && (event != WS_TEXT || utf8_valid(got.p, got.n)));
            REQUIRE(event != WS_FAIL || (got.reason && got.code >= 1002 && got.code <= 1011));
            buf_printf(trace, "%d %d %zu ", (int)event, got.code, got.n);
            buf_append(trace, got.p, got.n);
        }
        REQUIRE(buf_len(&in) < 14 + 125 && buf_len(&r.message) <= MAX_MESSAGE);
    }
    ws_reader_free(&r);
    buf_free(&in);
}

static void put_frame(struct buf *out, unsigned opcode, const uint8_t *p, size_t n, struct draw *d)
{
    uint8_t head[8] = {(uint8_t)opcode, n < 126 ? (uint8_t)(0x80 | n) : 0xfe, (uint8_t)(n >> 8),
                       (uint8_t)n};
    uint8_t *mask = head + (n < 126 ? 2 : 4);
    for (int i = 0; i < 4; i++)
        mask[i] = (uint8_t)draw_below(d, 256);
    buf_append(out, head, (size_t)(mask + 4 - head));
    for (size_t i = 0; i < n; i++)
        buf_append(out, (uint8_t[]){p[i] ^ mask[i % 4]}, 1);
}

static void check_round_trip(const uint8_t *data, size_t size, struct draw *d)
{
    struct buf frames = BUF_INIT, want = BUF_INIT, got = BUF_INIT;
    struct buf packed = BUF_INIT;
    bool text = utf8_valid(data, size), deflate = ws_deflate_pack(&packed, data, size, &agreed);
    unsigned opcode = (text ? WS_OP_TEXT : WS_OP_BINARY) | (deflate ? RSV1 : 0);
    const uint8_t *payload = deflate ? buf_head(&packed) : data;
    size_t length = deflate ? buf_len(&packed) : size, at = 0, n;
    do {
        n = length - at > 0 ? draw_piece(d, length - at) : 0;
        put_frame(&frames, (at + n == length ? 0x80 : 0) | opcode, payload + at, n, d);
        if (at + n < length && draw_below(d, 4) == 0)
            put_frame(&frames, 0x80 | WS_OP_PONG, NULL, 0, d);
        opcode = WS_OP_CONTINUATION;
        at += n;
    } while (at < length);
    record(&got, buf_head(&frames), buf_len(&frames), deflate, d);
    buf_printf(&want, "%d 0 %zu ", text ? WS_TEXT : WS_BINARY, size);
    buf_append(&want, data, size);
    REQUIRE(buf_len(&got) >= buf_len(&want));
    REQUIRE(memcmp(buf_head(&got) + buf_len(&got) - buf_len(&want), buf_head(&want),
                   buf_len(&want)) == 0);
    buf_free(&packed);
    buf_free(&frames);
    buf_free(&want);
    buf_free(&got);
}

static void check_pieces(const uint8_t *data, size_t size, bool deflate, struct draw *d)
{
    struct buf whole = BUF_INIT, pieces = BUF_INIT;
    record(&whole, data, size, deflate, NULL);
    record(&pieces, data, size, deflate, d);
    REQUIRE(buf_len(&whole) == buf_len(&pieces));
    REQUIRE(buf_len(&whole) == 0 ||
            memcmp(buf_head(&whole), buf_head(&pieces), buf_len(&whole)) == 0);
    buf_free(&whole);
    buf_free(&pieces);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct draw d = draw_from(data, size);
    check_pieces(data, size, false, &d);
    check_pieces(data, size, true, &d);
    if (size <= MAX_MESSAGE)
        check_round_trip(data, size, &d);
    return 0;
}

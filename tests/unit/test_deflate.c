/*
 * permessage-deflate: what offers lead to, and compressed messages through the reader, whole, byte
 * by byte and in fragments. The compressed bytes of RFC 7692, section 7.2.3, are its own.
 */
#include "ws.h"

#include <stdlib.h>

#include <zlib.h>

#include "log.h"
#include "test.h"

enum { LIMIT = 100000, FIN = 0x80, RSV1 = 0x40 };

#define BYTES(s)  (s), sizeof(s) - 1
#define COUNT(a)  (sizeof(a) / sizeof((a)[0]))
#define EXTENSION "Sec-WebSocket-Extensions: "
#define PMD       "permessage-deflate"
#define BOTH      "; server_no_context_takeover; client_no_context_takeover"

/* --- the agreement --- */

static const struct {
    const char *fields;
    const char *answer; /* "": no extension; NULL: malformed */
} offers[] = {
    {"", ""},
    {EXTENSION "\r\n", ""},
    {EXTENSION ",\r\n" EXTENSION "\r\n", ""},
    {EXTENSION "\r\n" EXTENSION PMD "\r\n", PMD BOTH},
    {EXTENSION PMD "\r\n", PMD BOTH},
    {EXTENSION PMD BOTH "\r\n", PMD BOTH},
    {EXTENSION " , " PMD " ,\r\n", PMD BOTH},
    {EXTENSION PMD "; client_max_window_bits\r\n", PMD BOTH},
    {EXTENSION PMD ";client_max_window_bits=10\r\n", PMD BOTH "; client_max_window_bits=10"},
    {EXTENSION PMD "; server_max_window_bits = 8\r\n", PMD BOTH "; server_max_window_bits=8"},
    {EXTENSION PMD "; server_max_window_bits=\"15\"\r\n", PMD BOTH "; server_max_window_bits=15"},
    {EXTENSION PMD "; client_max_window_bits=15; server_max_window_bits=9\r\n",
     PMD BOTH "; server_max_window_bits=9; client_max_window_bits=15"},
    /* one that cannot be met is passed over; the next one is tried, whichever field it is in */
    {EXTENSION PMD "; x\r\n", ""},
    {EXTENSION PMD "; x=1\r\n", ""},
    {EXTENSION PMD "; server_no_context_takeover=1\r\n", ""},
    {EXTENSION PMD "; client_no_context_takeover=\"\"\r\n", ""},
    {EXTENSION PMD "; server_no_context_takeover; server_no_context_takeover\r\n", ""},
    {EXTENSION PMD "; client_max_window_bits; client_max_window_bits=9\r\n", ""},
    {EXTENSION PMD "; server_max_window_bits\r\n", ""},
    {EXTENSION PMD "; server_max_window_bits=7\r\n", ""},
    {EXTENSION PMD "; server_max_window_bits=16\r\n", ""},
    {EXTENSION PMD "; server_max_window_bits=09\r\n", ""},
    {EXTENSION PMD "; client_max_window_bits=0\r\n", ""},
    {EXTENSION PMD "; client_max_window_bits=100\r\n", ""},
    {EXTENSION PMD "; client_max_window_bits=\"\"\r\n", ""},
    {EXTENSION PMD "; client_max_window_bits=\" 9\"\r\n", ""},
    {EXTENSION PMD "; Server_Max_Window_Bits=9\r\n", ""},
    {EXTENSION "x-webkit-deflate-frame\r\n", ""},
    {EXTENSION "Permessage-Deflate\r\n", ""},
    {EXTENSION "permessage-deflate2; a=\"b, " PMD "\"\r\n", ""},
    {EXTENSION PMD "; x, " PMD "; server_max_window_bits=10, " PMD "\r\n",
     PMD BOTH "; server_max_window_bits=10"},
    {EXTENSION "x; y=z\r\n" EXTENSION PMD "\r\n", PMD BOTH},
    /* malformed, wherever it stands */
    {EXTENSION "; x\r\n", NULL},
    {EXTENSION PMD ";\r\n", NULL},
    {EXTENSION PMD "; x=\r\n", NULL},
    {EXTENSION PMD "; =x\r\n", NULL},
    {EXTENSION PMD "; x=\"y\r\n", NULL},
    {EXTENSION PMD "; x=\"y\"z\r\n", NULL},
    {EXTENSION PMD " x\r\n", NULL},
    {EXTENSION PMD "; x y\r\n", NULL},
    {EXTENSION PMD "=1\r\n", NULL},
    {EXTENSION PMD ", x;\r\n", NULL},
    {EXTENSION PMD "\r\n" EXTENSION "(\r\n", NULL},
};

static void check_answer(const struct ws_deflate *d, const char *want, const char *row)
{
    struct buf out = BUF_INIT, expected = BUF_INIT;
    CHECK(d->on == (*want != '\0'));
    if (d->on) {
        ws_deflate_put_field(&out, d);
        buf_printf(&expected, EXTENSION "%s\r\n", want);
        buf_append(&out, "", 1);
        buf_append(&expected, "", 1);
        CHECK_STR((char *)buf_head(&out), (char *)buf_head(&expected));
    }
    if (test_failed)
        printf("# %s\n", row);
    buf_free(&out);
    buf_free(&expected);
}

static void offers_are_read_strictly_and_the_first_good_one_is_taken(void)
{
    for (size_t i = 0; i < COUNT(offers); i++) {
        struct buf head = BUF_INIT;
        struct http_request r;
        struct ws_deflate d;
        buf_printf(&head, "GET / HTTP/1.1\r\nHost: a\r\n%s\r\n", offers[i].fields);
        CHECK(http_request_parse(buf_head(&head), buf_len(&head), 8192, &r) > 0);
        bool good = ws_deflate_agree(&r, &d);
        CHECK(good == (offers[i].answer != NULL));
        if (good && offers[i].answer)
            check_answer(&d, offers[i].answer, offers[i].fields);
        else if (test_failed)
            printf("# %s\n", offers[i].fields);
        buf_free(&head);
    }
}

/* --- messages --- */

static void put_frame(struct buf *b, int first, const void *p, size_t n)
{
    static const uint8_t mask[4] = {0x11, 0, 0xff, 0x5a};
    size_t wide = n <= 125 ? 0 : n <= 65535 ? 2 : 8;
    uint8_t h[10] = {(uint8_t)first, (uint8_t)(0x80 | (wide == 8 ? 127 : wide == 2 ? 126 : n))};
    for (size_t i = 0; i < wide; i++)
        h[2 + i] = (uint8_t)((uint64_t)n >> (8 * (wide - 1 - i)));
    buf_append(b, h, 2 + wide);
    buf_append(b, mask, 4);
    for (size_t i = 0; i < n; i++)
        buf_append(b, &(uint8_t){((const uint8_t *)p)[i] ^ mask[i % 4]}, 1);
}

/* Feeds bytes in pieces to a reader that agreed on compression. The last event; the payload of a
 * message stays in *out. */
static enum ws_event feed(const struct buf *bytes, size_t piece, struct buf *out, int *code)
{
    struct ws_reader r;
    struct buf in = BUF_INIT;
    struct ws_data d;
    enum ws_event last = WS_NEED_MORE;
    ws_reader_init(&r, LIMIT, 16 * LIMIT);
    ws_reader_allow_deflate(&r, &(struct ws_deflate){.on = true});
    for (size_t i = 0; i < buf_len(bytes); i += piece) {
        size_t n = piece < buf_len(bytes) - i ? piece : buf_len(bytes) - i;
        buf_append(&in, buf_head(bytes) + i, n);
        for (enum ws_event e; (e = ws_read(&r, &in, &d)) != WS_NEED_MORE;) {
            last = e;
            *code = d.code;
            buf_free(out);
            buf_append(out, d.p, d.n);
        }
        CHECK(r.message.size <= 4 * LIMIT);
        CHECK(r.opcode || !r.inflate);
    }
    ws_reader_free(&r);
    buf_free(&in);
    return last;
}

/* However the bytes are cut: this event, with this payload, or this code of a failure. */
static void expect(struct buf *bytes, enum ws_event want, const void *p, size_t n, int code)
{
    for (size_t piece = 1; piece <= buf_len(bytes); piece = piece * 7 + 1) {
        struct buf out = BUF_INIT;
        int got = 0;
        CHECK(feed(bytes, piece, &out, &got) == want);
        CHECK(got == code && buf_len(&out) == n);
        CHECK(n == 0 || buf_len(&out) != n || memcmp(buf_head(&out), p, n) == 0);
        buf_free(&out);
    }
    buf_free(bytes);
}

static const struct {
    const char *bytes;
    size_t n;
    const char *text; /* NULL: broken */
} payloads[] = {
    /* RFC 7692 7.2.3: one block; with a final one; several; nothing */
    {BYTES("\xf2\x48\xcd\xc9\xc9\x07\x00"), "Hello"},
    {BYTES("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f\x00"), "Hello"},
    {BYTES("\xf3\x48\xcd\xc9\xc9\x07\x00\x00"), "Hello"},
    {BYTES("\xf2\x48\x05\x00\x00\x00\xff\xff\xca\xc9\xc9\x07\x00"), "Hello"},
    {BYTES("\x00"), ""},
    {BYTES("\x02\x00"), ""},
    {BYTES("\x03\x00\x00"), ""},
    {BYTES("\xf3\x48\xcd\xc9\xc9\x07\x00\xf2\x48\xcd\xc9\xc9\x07\x00"), "HelloHello"},
    /* the part after a final block refers to the one before: the second "Hello" is a match */
    {BYTES("\xf3\x48\xcd\xc9\xc9\x07\x00\x02\x13\x00\x00"), "HelloHello"},
    /* cut short, without the empty block at its end, or no deflate at all */
    {BYTES(""), NULL},
    {BYTES("\xf2\x48\xcd\xc9\xc9"), NULL},
    {BYTES("\xf3\x48\xcd\xc9\xc9\x07\x00"), NULL},
    {BYTES("\x00\x05\x00\xfa\xff\x48\x65\x6c\x6c\x6f"), NULL},
    {BYTES("\x00\x05\x00\xfb\xff\x48\x65\x6c\x6c\x6f\x00"), NULL},
    {BYTES("\x00\x04\x00\xfb\xff"), NULL},
    {BYTES("\x07\x00"), NULL},
    {BYTES("Hello"), NULL},
    {BYTES("\xff\xff\xff\xff"), NULL},
    {BYTES("\x78\x9c\xf3\x48\xcd\xc9\xc9\x07\x00"), NULL},
    /* the four bytes that are left away were sent as well */
    {BYTES("\xf2\x48\xcd\xc9\xc9\x07\x00\x00\x00\xff\xff"), NULL},
};

static void payloads_of_each_form(void)
{
    for (size_t i = 0; i < COUNT(payloads); i++) {
        struct buf b = BUF_INIT;
        const char *text = payloads[i].text;
        put_frame(&b, FIN | RSV1 | WS_OP_TEXT, payloads[i].bytes, payloads[i].n);
        if (text)
            expect(&b, WS_TEXT, text, strlen(text), 0);
        else
            expect(&b, WS_FAIL, NULL, 0, 1007);
        if (test_failed) {
            printf("# payload %zu\n", i);
            return;
        }
    }
}

static void a_message_is_compressed_as_a_whole(void)
{
    struct buf b = BUF_INIT;
    put_frame(&b, RSV1 | WS_OP_TEXT, "\xf2\x48\xcd", 3);
    put_frame(&b, FIN | WS_OP_PING, "x", 1);
    put_frame(&b, WS_OP_CONTINUATION, "", 0);
    put_frame(&b, FIN | WS_OP_CONTINUATION, "\xc9\xc9\x07\x00", 4);
    expect(&b, WS_TEXT, "Hello", 5, 0);
    put_frame(&b, RSV1 | WS_OP_BINARY, "\xf2\x48\xcd\xc9\xc9\x07\x00", 7);
    put_frame(&b, FIN | WS_OP_CONTINUATION, "", 0);
    expect(&b, WS_BINARY, "Hello", 5, 0);
    put_frame(&b, FIN | WS_OP_TEXT, "\xc3\xa9", 2); /* not every message needs to be */
    expect(&b, WS_TEXT, "\xc3\xa9", 2, 0);
}

static void rsv1_elsewhere_fails(void)
{
    static const int firsts[] = {FIN | RSV1 | WS_OP_CONTINUATION, FIN | RSV1 | WS_OP_PING,
                                 FIN | RSV1 | WS_OP_CLOSE,        FIN | RSV1 | 0x20 | WS_OP_TEXT,
                                 FIN | 0x20 | WS_OP_TEXT,         FIN | RSV1 | 0x10 | WS_OP_TEXT};
    for (size_t i = 0; i < COUNT(firsts); i++) {
        struct buf b = BUF_INIT;
        if (i == 0)
            put_frame(&b, RSV1 | WS_OP_TEXT, "\xf2\x48", 2);
        put_frame(&b, firsts[i], "\xcd\xc9\xc9\x07\x00", 5);
        expect(&b, WS_FAIL, NULL, 0, 1002);
    }
}

/* As a client would, with all that zlib can do. The caller frees *out. */
static void compress_all(struct buf *out, const void *p, size_t n, int level, int flush)
{
    z_stream z = {0};
    if (deflateInit2(&z, level, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY) != Z_OK)
        bug("deflateInit2");
    size_t room = n + n / 8 + 1000;
    z.next_in = (Bytef *)(uintptr_t)p;
    z.avail_in = (uInt)n;
    z.next_out = buf_reserve(out, room);
    z.avail_out = (uInt)room;
    deflate(&z, flush);
    buf_commit(out, room - z.avail_out);
    deflateEnd(&z);
    if (flush == Z_SYNC_FLUSH)
        buf_truncate(out, buf_len(out) - 4);
    else
        buf_append(out, "", 1);
}

static uint8_t *noise(size_t n, unsigned kinds)
{
    uint8_t *p = xcalloc(n + 1, 1);
    for (size_t i = 0; i < n; i++)
        p[i] = (uint8_t)((unsigned)rand() % kinds);
    return p;
}

static void messages_of_every_size_come_out_as_they_went_in(void)
{
    static const size_t sizes[] = {0, 1, 100, 4095, 4096, 4097, 70000, LIMIT};
    for (size_t i = 0; i < COUNT(sizes); i++)
        for (unsigned kinds = 1; kinds <= 256; kinds *= 16) {
            struct buf packed = BUF_INIT, b = BUF_INIT;
            uint8_t *p = noise(sizes[i], kinds);
            compress_all(&packed, p, sizes[i], (int)(i % 10), i % 2 ? Z_SYNC_FLUSH : Z_FINISH);
            put_frame(&b, FIN | RSV1 | WS_OP_BINARY, buf_head(&packed), buf_len(&packed));
            expect(&b, WS_BINARY, p, sizes[i], 0);
            buf_free(&packed);
            free(p);
        }
}

static void a_bomb_fails_at_the_limit(void)
{
    struct buf packed = BUF_INIT, b = BUF_INIT;
    uint8_t *p = xcalloc(16 << 20, 1);
    compress_all(&packed, p, 16 << 20, 9, Z_SYNC_FLUSH);
    CHECK(buf_len(&packed) < 17000);
    put_frame(&b, FIN | RSV1 | WS_OP_BINARY, buf_head(&packed), buf_len(&packed));
    expect(&b, WS_FAIL, NULL, 0, 1009);
    buf_free(&packed);
    compress_all(&packed, p, LIMIT + 1, 9, Z_SYNC_FLUSH);
    put_frame(&b, FIN | RSV1 | WS_OP_TEXT, buf_head(&packed), buf_len(&packed));
    expect(&b, WS_FAIL, NULL, 0, 1009);
    buf_free(&packed);
    free(p);
}

static void blocks_that_bring_nothing_are_bounded(void)
{
    struct buf b = BUF_INIT;
    uint8_t *p = xcalloc(2 * LIMIT, 1);
    for (size_t i = 0; i + 5 <= 2 * LIMIT; i += 5)
        memcpy(p + i, "\0\0\0\xff\xff", 5);
    put_frame(&b, FIN | RSV1 | WS_OP_TEXT, p, 2 * LIMIT);
    expect(&b, WS_FAIL, NULL, 0, 1009);
    for (size_t i = 0; i < 1000; i += 2)
        memcpy(p + i, "\x03\x00", 2);
    put_frame(&b, FIN | RSV1 | WS_OP_TEXT, p, 1001);
    expect(&b, WS_FAIL, NULL, 0, 1007);
    free(p);
}

static void bad_text_fails_as_soon_as_it_is_inflated(void)
{
    struct buf packed = BUF_INIT, b = BUF_INIT;
    compress_all(&packed, "fine \xff", 6, 0, Z_SYNC_FLUSH);
    put_frame(&b, RSV1 | WS_OP_TEXT, buf_head(&packed), buf_len(&packed) - 1);
    expect(&b, WS_FAIL, NULL, 0, 1007); /* the message has not ended */
    buf_free(&packed);
    compress_all(&packed, "fine \xe2\x82", 7, 6, Z_SYNC_FLUSH);
    put_frame(&b, FIN | RSV1 | WS_OP_TEXT, buf_head(&packed), buf_len(&packed));
    expect(&b, WS_FAIL, NULL, 0, 1007);
    buf_free(&packed);
}

static void random_bytes_never_harm(void)
{
    for (int round = 0; round < 3000; round++) {
        struct buf b = BUF_INIT, out = BUF_INIT;
        int code = 0;
        uint8_t *p = noise(300, 256);
        size_t n = (size_t)rand() % 300;
        put_frame(&b, FIN | RSV1 | WS_OP_TEXT, p, n);
        enum ws_event e = feed(&b, 1 + (size_t)rand() % 300, &out, &code);
        CHECK(e == WS_TEXT || (e == WS_FAIL && (code == 1007 || code == 1009)));
        buf_free(&b);
        buf_free(&out);
        free(p);
    }
}

/* --- from server to client --- */

static void what_is_packed_can_be_inflated_in_the_window_that_was_agreed(void)
{
    for (uint8_t bits = 9; bits <= 15; bits++) {
        struct ws_deflate d = {.on = true, .server_bits = bits}, theirs = {.client_bits = bits};
        for (size_t n = 128; n < 200000; n = n * 3 + 1) {
            struct buf packed = BUF_INIT, out = BUF_INIT;
            uint8_t *p = noise(n, 4);
            CHECK(ws_deflate_pack(&packed, p, n, &d) && buf_len(&packed) < n);
            struct ws_inflate *s = ws_inflate_new(&theirs);
            CHECK(ws_inflate(s, buf_head(&packed), buf_len(&packed), n, &out) == WS_INFLATE_OK);
            CHECK(ws_inflate_end(s, n, &out) == WS_INFLATE_OK);
            CHECK(buf_len(&out) == n && memcmp(buf_head(&out), p, n) == 0);
            ws_inflate_free(&s);
            CHECK(!s);
            buf_free(&packed);
            buf_free(&out);
            free(p);
        }
    }
}

static void what_would_not_become_shorter_is_not_packed(void)
{
    struct buf out = BUF_INIT;
    uint8_t *p = noise(5000, 256), *zeros = xcalloc(5000, 1);
    struct ws_deflate d = {.on = true};
    buf_puts(&out, "before");
    CHECK(!ws_deflate_pack(&out, p, 5000, &d));
    CHECK(!ws_deflate_pack(&out, zeros, 127, &d));
    d.server_bits = 8; /* zlib has no such window */
    CHECK(!ws_deflate_pack(&out, zeros, 5000, &d));
    CHECK(buf_len(&out) == 6);
    d.server_bits = 9;
    CHECK(ws_deflate_pack(&out, zeros, 5000, &d) && buf_len(&out) < 100);
    CHECK(memcmp(buf_head(&out), "before", 6) == 0);
    buf_free(&out);
    free(p);
    free(zeros);
}

static void a_message_is_written_with_rsv1_only_if_it_is_compressed(void)
{
    struct buf out = BUF_INIT;
    uint8_t zeros[1000] = {0};
    ws_put_message(&out, WS_OP_BINARY, zeros, sizeof(zeros), &(struct ws_deflate){.on = false});
    CHECK(buf_head(&out)[0] == (FIN | WS_OP_BINARY) && buf_len(&out) == 1004);
    buf_free(&out);
    ws_put_message(&out, WS_OP_BINARY, zeros, sizeof(zeros), &(struct ws_deflate){.on = true});
    CHECK(buf_head(&out)[0] == (FIN | RSV1 | WS_OP_BINARY) && buf_len(&out) < 50);
    CHECK(buf_head(&out)[1] == buf_len(&out) - 2);
    buf_free(&out);
    ws_put_message(&out, WS_OP_TEXT, "short", 5, &(struct ws_deflate){.on = true});
    CHECK(buf_len(&out) == 7 && memcmp(buf_head(&out), "\x81\x05short", 7) == 0);
    buf_free(&out);
}

int main(void)
{
    RUN(offers_are_read_strictly_and_the_first_good_one_is_taken);
    RUN(payloads_of_each_form);
    RUN(a_message_is_compressed_as_a_whole);
    RUN(rsv1_elsewhere_fails);
    RUN(messages_of_every_size_come_out_as_they_went_in);
    RUN(a_bomb_fails_at_the_limit);
    RUN(blocks_that_bring_nothing_are_bounded);
    RUN(bad_text_fails_as_soon_as_it_is_inflated);
    RUN(random_bytes_never_harm);
    RUN(what_is_packed_can_be_inflated_in_the_window_that_was_agreed);
    RUN(what_would_not_become_shorter_is_not_packed);
    RUN(a_message_is_written_with_rsv1_only_if_it_is_compressed);
    return DONE();
}

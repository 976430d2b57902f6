/*
 * WebSocket: each rule of RFC 6455, section 5 and 7, as a conversation that is fed whole, byte by
 * byte and at random cuts; the events must be the same each time.
 */
#include "ws.h"

#include <stdlib.h>

#include "log.h"
#include "test.h"

enum { LIMIT = 100000, SKIP = 1000000 };
enum { FIN = 0x80, RSV1 = 0x40 };

/* What a client writes: one masked frame. The length's form and the mask bit can be forced. */
static void put_raw(struct buf *b, int first, const void *payload, size_t n, size_t wide,
                    int masked)
{
    static uint8_t mask[4] = {0x00, 0xff, 0xa5, 0x11};
    uint8_t *h = buf_reserve(b, n + 14), *p = h;
    *p++ = (uint8_t)first;
    *p++ = (uint8_t)((masked ? 0x80 : 0) | (int)(wide == 8 ? 127 : wide == 2 ? 126 : n));
    for (size_t i = wide; i-- > 0;)
        *p++ = (uint8_t)((uint64_t)n >> (8 * i));
    if (masked) {
        memcpy(p, mask, 4);
        p += 4;
    }
    for (size_t i = 0; i < n; i++)
        *p++ = (uint8_t)(((const uint8_t *)payload)[i] ^ (masked ? mask[i % 4] : 0));
    buf_commit(b, (size_t)(p - h));
    mask[0] = (uint8_t)(mask[0] * 7 + 13);
    mask[3] ^= mask[0];
}

static void put_bytes(struct buf *b, int first, const void *payload, size_t n)
{
    put_raw(b, first, payload, n, n <= 125 ? 0 : n <= 65535 ? 2 : 8, 1);
}

static void put(struct buf *b, int first, const char *payload)
{
    put_bytes(b, first, payload, strlen(payload));
}

static void put_close(struct buf *b, int code, const char *reason)
{
    char p[200] = {(char)(code >> 8), (char)code};
    memcpy(p + 2, reason, strlen(reason));
    put_bytes(b, FIN | WS_OP_CLOSE, p, 2 + strlen(reason));
}

/* A header that promises length bytes of payload and brings none. */
static void put_promise(struct buf *b, int first, uint64_t length)
{
    uint8_t h[14] = {(uint8_t)first, 0xff};
    for (int i = 0; i < 8; i++)
        h[2 + i] = (uint8_t)(length >> (8 * (7 - i)));
    buf_append(b, h, sizeof(h));
}

static uint8_t *filled(size_t n, int c)
{
    uint8_t *p = xcalloc(n + 1, 1);
    memset(p, c, n);
    return p;
}

static unsigned long sum(const uint8_t *p, size_t n)
{
    unsigned long h = 5381;
    for (size_t i = 0; i < n; i++)
        h = h * 33 + p[i];
    return h;
}

static void note(struct buf *log, enum ws_event event, const struct ws_data *d)
{
    static const char *names[] = {"",     "TEXT", "BINARY", "TOO_LARGE",
                                  "PING", "PONG", "CLOSE",  "FAIL"};
    buf_printf(log, "%s%s", buf_len(log) ? " " : "", names[event]);
    if (event == WS_FAIL || event == WS_CLOSE)
        buf_printf(log, ":%d", d->code);
    if (event == WS_FAIL)
        CHECK(d->reason && strlen(d->reason) <= 123 && !d->p && d->n == 0);
    else if (event == WS_TOO_LARGE)
        CHECK(!d->p && d->n == 0);
    else if (d->n > 60)
        buf_printf(log, "(%zu bytes %lx)", d->n, sum(d->p, d->n));
    else
        buf_printf(log, "(%.*s)", (int)d->n, (const char *)d->p);
    CHECK(event == WS_FAIL || event == WS_TOO_LARGE || d->p);
}

/* Feeds bytes in pieces of at most piece bytes (0: at random) and writes the events to log. */
static void feed(const struct buf *bytes, size_t piece, struct buf *log)
{
    struct ws_reader r;
    struct buf in = BUF_INIT;
    struct ws_data d;
    ws_reader_init(&r, LIMIT, SKIP);
    for (size_t i = 0, n; i < buf_len(bytes); i += n) {
        n = piece ? piece : 1 + (size_t)rand() % (rand() % 8 ? 16 : 40000);
        n = n < buf_len(bytes) - i ? n : buf_len(bytes) - i;
        buf_append(&in, buf_head(bytes) + i, n);
        for (enum ws_event e; (e = ws_read(&r, &in, &d)) != WS_NEED_MORE;)
            note(log, e, &d);
        CHECK(!d.p && d.n == 0);
        CHECK(buf_len(&in) < 2 + 4 + 125);
        CHECK(buf_len(&r.message) <= LIMIT);
        CHECK(r.opcode || r.message.data == NULL);
    }
    ws_reader_free(&r);
    buf_free(&in);
}

static void check_feed(const struct buf *bytes, size_t piece, const char *want)
{
    struct buf log = BUF_INIT;
    feed(bytes, piece, &log);
    buf_append(&log, "", 1);
    CHECK_STR((const char *)buf_head(&log), want);
    buf_free(&log);
}

/* The heart of this file: the same bytes give the same events however they are cut. */
static void expect(struct buf *bytes, const char *want)
{
    check_feed(bytes, buf_len(bytes), want);
    check_feed(bytes, 1, want);
    for (int i = 0; i < 30; i++)
        check_feed(bytes, 0, want);
    buf_free(bytes);
}

static void whole_messages_of_every_size(void)
{
    static const size_t sizes[] = {0, 1, 7, 8, 9, 125, 126, 127, 65535, 65536, LIMIT};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        struct buf b = BUF_INIT, want = BUF_INIT;
        uint8_t *p = filled(sizes[i], 'x');
        struct ws_data d = {.p = p, .n = sizes[i]};
        put_bytes(&b, FIN | WS_OP_BINARY, p, sizes[i]);
        put_bytes(&b, FIN | WS_OP_TEXT, p, sizes[i]);
        note(&want, WS_BINARY, &d);
        note(&want, WS_TEXT, &d);
        buf_append(&want, "", 1);
        expect(&b, (const char *)buf_head(&want));
        buf_free(&want);
        free(p);
    }
}

static void unmasking_is_right_at_every_offset_and_length(void)
{
    struct buf b = BUF_INIT;
    char text[] = "abcdefghijklmnopqrstuvwxyz0123456789";
    struct buf want = BUF_INIT;
    for (size_t n = 0; n <= 36; n++) {
        put_bytes(&b, FIN | WS_OP_TEXT, text, n);
        buf_printf(&want, "%sTEXT(%.*s)", n ? " " : "", (int)n, text);
    }
    buf_append(&want, "", 1);
    for (size_t piece = 1; piece < 40; piece++)
        check_feed(&b, piece, (const char *)buf_head(&want));
    expect(&b, (const char *)buf_head(&want));
    buf_free(&want);
}

static void fragments_make_one_message(void)
{
    struct buf b = BUF_INIT;
    put(&b, WS_OP_TEXT, "Hel");
    put(&b, WS_OP_CONTINUATION, "");
    put(&b, WS_OP_CONTINUATION, "lo, ");
    put(&b, FIN | WS_OP_CONTINUATION, "world");
    put(&b, WS_OP_BINARY, "");
    put(&b, FIN | WS_OP_CONTINUATION, "");
    put(&b, WS_OP_BINARY, "");
    put(&b, FIN | WS_OP_CONTINUATION, "last only");
    put(&b, WS_OP_BINARY, "first only");
    put(&b, FIN | WS_OP_CONTINUATION, "");
    put(&b, FIN | WS_OP_TEXT, "next");
    expect(&b, "TEXT(Hello, world) BINARY() BINARY(last only) BINARY(first only) TEXT(next)");
}

static void control_frames_may_come_between_fragments(void)
{
    struct buf b = BUF_INIT;
    put(&b, WS_OP_TEXT, "a\xe2\x82");
    put(&b, FIN | WS_OP_PING, "1");
    put(&b, WS_OP_CONTINUATION, "\xac");
    put(&b, FIN | WS_OP_PONG, "");
    put(&b, FIN | WS_OP_PING, "\xff");
    put(&b, FIN | WS_OP_CONTINUATION, "b");
    put(&b, FIN | WS_OP_PING, "");
    expect(&b, "PING(1) PONG() PING(\xff) TEXT(a\xe2\x82\xac"
               "b) PING()");
    put(&b, WS_OP_TEXT, "never finished");
    put_close(&b, 1001, "bye");
    expect(&b, "CLOSE:1001(bye)");
}

static void a_control_frame_has_at_most_125_bytes_and_is_whole(void)
{
    struct buf b = BUF_INIT;
    uint8_t *p = filled(126, 'p');
    char want[100];
    snprintf(want, sizeof(want), "PING(125 bytes %lx)", sum(p, 125));
    put_bytes(&b, FIN | WS_OP_PING, p, 125);
    expect(&b, want);
    put_bytes(&b, FIN | WS_OP_PING, p, 126);
    expect(&b, "FAIL:1002");
    put_promise(&b, FIN | WS_OP_PONG, 3);
    expect(&b, "FAIL:1002");
    put(&b, WS_OP_PING, "x");
    expect(&b, "FAIL:1002");
    put(&b, WS_OP_CLOSE, "");
    expect(&b, "FAIL:1002");
    free(p);
}

static void reserved_bits_and_opcodes_fail(void)
{
    for (int bit = RSV1; bit >= 0x10; bit >>= 1) {
        struct buf b = BUF_INIT;
        put(&b, FIN | WS_OP_TEXT, "fine");
        put(&b, FIN | bit | WS_OP_TEXT, "x");
        expect(&b, "TEXT(fine) FAIL:1002");
        put(&b, FIN | bit | WS_OP_PING, "x");
        expect(&b, "FAIL:1002");
    }
    for (int op = 0; op < 16; op++) {
        struct buf b = BUF_INIT;
        if ((op >= 3 && op <= 7) || op >= 11) {
            put(&b, FIN | op, "x");
            expect(&b, "FAIL:1002");
            put(&b, op, "");
            expect(&b, "FAIL:1002");
        }
    }
}

static void an_unmasked_frame_fails(void)
{
    struct buf b = BUF_INIT;
    put_raw(&b, FIN | WS_OP_TEXT, "hello", 5, 0, 0);
    expect(&b, "FAIL:1002");
    put_raw(&b, FIN | WS_OP_PING, "", 0, 0, 0);
    expect(&b, "FAIL:1002");
}

static void fragments_out_of_order_fail(void)
{
    struct buf b = BUF_INIT;
    put(&b, FIN | WS_OP_CONTINUATION, "x");
    expect(&b, "FAIL:1002");
    put(&b, FIN | WS_OP_TEXT, "x");
    put(&b, WS_OP_CONTINUATION, "x");
    expect(&b, "TEXT(x) FAIL:1002");
    put(&b, WS_OP_TEXT, "x");
    put(&b, FIN | WS_OP_TEXT, "y");
    expect(&b, "FAIL:1002");
    put(&b, WS_OP_TEXT, "");
    put(&b, WS_OP_BINARY, "y");
    expect(&b, "FAIL:1002");
}

static void a_length_in_other_than_its_shortest_form_fails(void)
{
    struct buf b = BUF_INIT;
    uint8_t *p = filled(65535, 'x');
    put_raw(&b, FIN | WS_OP_TEXT, p, 125, 2, 1);
    expect(&b, "FAIL:1002");
    put_raw(&b, FIN | WS_OP_TEXT, p, 0, 8, 1);
    expect(&b, "FAIL:1002");
    put_raw(&b, FIN | WS_OP_TEXT, p, 65535, 8, 1);
    expect(&b, "FAIL:1002");
    put_promise(&b, FIN | WS_OP_TEXT, UINT64_C(1) << 63);
    expect(&b, "FAIL:1002");
    put_promise(&b, FIN | WS_OP_TEXT, UINT64_MAX);
    expect(&b, "FAIL:1002");
    free(p);
}

/* How many bytes the reader takes before it fails with code; 0 when it does not. */
static size_t fails_after(const struct buf *bytes, int code)
{
    struct ws_reader r;
    struct buf in = BUF_INIT;
    struct ws_data d;
    size_t at = 0;
    ws_reader_init(&r, LIMIT, SKIP);
    for (size_t i = 0; i < buf_len(bytes) && !at; i++) {
        buf_append(&in, buf_head(bytes) + i, 1);
        for (enum ws_event e; (e = ws_read(&r, &in, &d)) != WS_NEED_MORE;)
            if (e == WS_FAIL && d.code == code)
                at = i + 1;
    }
    ws_reader_free(&r);
    buf_free(&in);
    return at;
}

static void bad_text_fails_with_the_byte_that_makes_it_bad(void)
{
    struct buf b = BUF_INIT;
    put(&b, FIN | WS_OP_TEXT, "ab\xed\xa0\x80 and much more");
    CHECK(fails_after(&b, 1007) == 6 + 4);
    expect(&b, "FAIL:1007");
    put(&b, WS_OP_TEXT, "\xf4");
    put(&b, FIN | WS_OP_PING, "");
    put(&b, WS_OP_CONTINUATION, "\x90 not the end");
    CHECK(fails_after(&b, 1007) == 7 + 6 + 7);
    expect(&b, "PING() FAIL:1007");
    put(&b, FIN | WS_OP_TEXT, "\xe2\x82\xac cut \xe2\x82");
    expect(&b, "FAIL:1007");
    put(&b, WS_OP_TEXT, "\xe2\x82");
    put(&b, FIN | WS_OP_CONTINUATION, "");
    expect(&b, "FAIL:1007");
    put(&b, FIN | WS_OP_BINARY, "\xff\xfe is no text, nor need it be");
    expect(&b, "BINARY(\xff\xfe is no text, nor need it be)");
}

static void utf8_may_be_cut_by_fragments_and_starts_anew_with_each_message(void)
{
    struct buf b = BUF_INIT;
    put(&b, WS_OP_TEXT, "\xf0\x9f");
    put(&b, WS_OP_CONTINUATION, "");
    put(&b, WS_OP_CONTINUATION, "\x98");
    put(&b, FIN | WS_OP_CONTINUATION, "\x80");
    put(&b, WS_OP_BINARY, "\xf0\x9f");
    put(&b, FIN | WS_OP_CONTINUATION, "");
    put(&b, FIN | WS_OP_TEXT, "\xc3\xa9");
    expect(&b, "TEXT(\xf0\x9f\x98\x80) BINARY(\xf0\x9f) TEXT(\xc3\xa9)");
}

static void a_message_above_the_limit_is_read_over_and_the_next_one_is_not(void)
{
    struct buf b = BUF_INIT;
    uint8_t *p = filled(SKIP, 'x');
    put_bytes(&b, FIN | WS_OP_TEXT, p, LIMIT + 1);
    put(&b, FIN | WS_OP_TEXT, "one");
    put_bytes(&b, WS_OP_BINARY, p, LIMIT);
    put(&b, WS_OP_CONTINUATION, "x");
    put(&b, FIN | WS_OP_PING, "still here");
    put(&b, FIN | WS_OP_CONTINUATION, "x");
    put(&b, FIN | WS_OP_BINARY, "two");
    expect(&b, "TOO_LARGE TEXT(one) PING(still here) TOO_LARGE BINARY(two)");
    put_bytes(&b, FIN | WS_OP_BINARY, p, SKIP);
    check_feed(&b, 4096, "TOO_LARGE");
    buf_free(&b);
    free(p);
}

static void text_that_is_read_over_must_still_be_utf8(void)
{
    struct buf b = BUF_INIT;
    uint8_t *p = filled(LIMIT + 2, 'x');
    p[LIMIT] = 0xc3;
    p[LIMIT + 1] = 0xa9;
    put_bytes(&b, FIN | WS_OP_TEXT, p, LIMIT + 2);
    expect(&b, "TOO_LARGE");
    put_bytes(&b, FIN | WS_OP_TEXT, p, LIMIT + 1);
    expect(&b, "FAIL:1007");
    p[LIMIT / 2] = 0xff;
    put_bytes(&b, FIN | WS_OP_TEXT, p, LIMIT + 2);
    expect(&b, "FAIL:1007");
    free(p);
}

static void a_message_far_above_the_limit_fails_from_its_header(void)
{
    struct buf b = BUF_INIT;
    put_promise(&b, FIN | WS_OP_BINARY, SKIP + 1);
    CHECK(fails_after(&b, 1009) == 14);
    expect(&b, "FAIL:1009");
    put_promise(&b, FIN | WS_OP_BINARY, INT64_MAX);
    expect(&b, "FAIL:1009");
    put(&b, WS_OP_BINARY, "x");
    put_promise(&b, WS_OP_CONTINUATION, SKIP);
    expect(&b, "FAIL:1009");
}

static void fragment_lengths_cannot_wrap_round(void)
{
    struct ws_reader r;
    struct buf in = BUF_INIT;
    struct ws_data d;
    ws_reader_init(&r, 10, UINT64_MAX);
    put(&in, WS_OP_BINARY, "123");
    put_promise(&in, WS_OP_CONTINUATION, INT64_MAX);
    CHECK(ws_read(&r, &in, &d) == WS_NEED_MORE);
    CHECK(r.length == (uint64_t)INT64_MAX + 3 && r.skip);
    r.length = UINT64_MAX - 1; /* as if all that had been sent */
    r.left = 0;
    r.in_frame = false;
    put_promise(&in, WS_OP_CONTINUATION, 65536);
    CHECK(ws_read(&r, &in, &d) == WS_FAIL && d.code == 1009);
    ws_reader_free(&r);
    buf_free(&in);
}

static void memory_follows_what_arrives_not_what_is_promised(void)
{
    struct ws_reader r;
    struct buf in = BUF_INIT;
    struct ws_data d;
    ws_reader_init(&r, SIZE_MAX / 2, UINT64_MAX);
    put_promise(&in, FIN | WS_OP_BINARY, UINT64_C(1) << 40);
    buf_puts(&in, "ten bytes.");
    CHECK(ws_read(&r, &in, &d) == WS_NEED_MORE);
    CHECK(buf_len(&in) == 0 && buf_len(&r.message) == 10 && r.message.size < 1000);
    ws_reader_free(&r);
    buf_free(&in);
}

static void close_codes_are_those_that_may_be_sent(void)
{
    for (int code = 0; code < 5100; code++) {
        int valid =
            (code >= 1000 && code <= 1014 && code != 1004 && code != 1005 && code != 1006) ||
            (code >= 3000 && code < 5000);
        char want[40];
        struct buf b = BUF_INIT;
        put_close(&b, code, "why");
        snprintf(want, sizeof(want), valid ? "CLOSE:%d(why)" : "FAIL:1002", code);
        check_feed(&b, buf_len(&b), want);
        buf_free(&b);
    }
    struct buf b = BUF_INIT;
    put_close(&b, 65535, "");
    expect(&b, "FAIL:1002");
}

static void close_has_no_payload_or_a_code_and_a_reason_in_utf8(void)
{
    struct buf b = BUF_INIT;
    put(&b, FIN | WS_OP_CLOSE, "");
    expect(&b, "CLOSE:1005()");
    put_close(&b, 1000, "");
    expect(&b, "CLOSE:1000()");
    put_close(&b, 4401, "caf\xc3\xa9");
    expect(&b, "CLOSE:4401(caf\xc3\xa9)");
    put(&b, FIN | WS_OP_CLOSE, "\x03");
    expect(&b, "FAIL:1002");
    put(&b, FIN | WS_OP_CLOSE, "\x03");
    buf_puts(&b, "\xe8"); /* would make it 1000 if it belonged to the frame */
    expect(&b, "FAIL:1002");
    put_close(&b, 1000, "caf\xc3");
    expect(&b, "FAIL:1007");
    put_close(&b, 1000, "\xff");
    expect(&b, "FAIL:1007");
}

static void nothing_is_read_after_close_or_failure(void)
{
    struct buf b = BUF_INIT;
    put_close(&b, 1000, "");
    put(&b, FIN | WS_OP_TEXT, "too late");
    put_close(&b, 1000, "");
    expect(&b, "CLOSE:1000()");
    put(&b, FIN | 3, "");
    put(&b, FIN | WS_OP_TEXT, "too late");
    expect(&b, "FAIL:1002");
}

static void a_whole_frame_is_not_copied_and_is_taken_out_by_the_next_call(void)
{
    struct ws_reader r;
    struct buf in = BUF_INIT;
    struct ws_data d;
    ws_reader_init(&r, LIMIT, SKIP);
    put(&in, FIN | WS_OP_TEXT, "hello");
    put(&in, FIN | WS_OP_TEXT, "you");
    CHECK(ws_read(&r, &in, &d) == WS_TEXT && d.p == buf_head(&in) && d.n == 5);
    CHECK(ws_read(&r, &in, &d) == WS_TEXT && d.p == buf_head(&in) && d.n == 3);
    CHECK(r.message.data == NULL);
    CHECK(ws_read(&r, &in, &d) == WS_NEED_MORE && buf_len(&in) == 0);
    ws_reader_free(&r);
    buf_free(&in);
}

static void random_bytes_never_harm(void)
{
    srand(3);
    for (int round = 0; round < 20000; round++) {
        struct buf b = BUF_INIT, log = BUF_INIT;
        for (int i = rand() % 5; i >= 0; i--) {
            uint8_t p[200];
            for (size_t k = 0; k < sizeof(p); k++)
                p[k] = (uint8_t)(rand() % 6 ? 'a' : rand());
            put_bytes(&b, (rand() % 3 ? FIN : 0) | rand() % 11, p, (size_t)rand() % sizeof(p));
        }
        for (int i = rand() % 3; i > 0; i--)
            buf_head(&b)[(size_t)rand() % buf_len(&b)] = (uint8_t)rand();
        feed(&b, buf_len(&b), &log);
        buf_append(&log, "", 1);
        check_feed(&b, 1, (const char *)buf_head(&log));
        check_feed(&b, 0, (const char *)buf_head(&log));
        buf_free(&log);
        buf_free(&b);
    }
}

static int put_is(struct buf *b, const char *want, size_t n)
{
    int same = buf_len(b) == n && memcmp(buf_head(b), want, n) == 0;
    buf_free(b);
    return same;
}

static void frames_are_written_final_unmasked_and_with_the_shortest_length(void)
{
    struct buf b = BUF_INIT;
    uint8_t *p = filled(65536, 'x');
    ws_put_frame(&b, WS_OP_TEXT, "Hello", 5);
    CHECK(put_is(&b, "\x81\x05Hello", 7));
    ws_put_frame(&b, WS_OP_PONG, NULL, 0);
    CHECK(put_is(&b, "\x8a\x00", 2));
    ws_put_frame(&b, WS_OP_BINARY, p, 125);
    CHECK(buf_len(&b) == 127 && memcmp(buf_head(&b), "\x82\x7dx", 3) == 0);
    buf_free(&b);
    ws_put_frame(&b, WS_OP_TEXT, p, 126);
    CHECK(buf_len(&b) == 130 && memcmp(buf_head(&b), "\x81\x7e\x00\x7ex", 5) == 0);
    buf_free(&b);
    ws_put_frame(&b, WS_OP_TEXT, p, 65535);
    CHECK(buf_len(&b) == 65539 && memcmp(buf_head(&b), "\x81\x7e\xff\xffx", 5) == 0);
    buf_free(&b);
    ws_put_frame(&b, WS_OP_TEXT, p, 65536);
    CHECK(buf_len(&b) == 65546 && memcmp(buf_head(&b), "\x81\x7f\0\0\0\0\0\1\0\0x", 11) == 0);
    buf_free(&b);
    free(p);
}

static void a_close_reason_is_cut_between_code_points(void)
{
    struct buf b = BUF_INIT;
    ws_put_close(&b, 0, "dropped");
    CHECK(put_is(&b, "\x88\x00", 2));
    ws_put_close(&b, 1005, NULL);
    CHECK(put_is(&b, "\x88\x00", 2));
    ws_put_close(&b, 1000, NULL);
    CHECK(put_is(&b, "\x88\x02\x03\xe8", 4));
    ws_put_close(&b, 4401, "no");
    CHECK(put_is(&b, "\x88\x04\x11\x31no", 6));
    char reason[200];
    for (size_t lead = 120; lead <= 124; lead++) { /* where a three-byte sequence begins */
        memset(reason, 'r', sizeof(reason));
        memcpy(reason + lead, "\xe2\x82\xac", 3);
        reason[150] = '\0';
        size_t want = lead == 120 || lead >= 123 ? 123 : lead;
        ws_put_close(&b, 1001, reason);
        CHECK(buf_len(&b) == 4 + want && buf_head(&b)[1] == 2 + want);
        CHECK(utf8_valid(buf_head(&b) + 4, want));
        buf_free(&b);
    }
}

static void the_accept_key_is_that_of_the_rfc(void)
{
    char accept[29];
    ws_accept_key("dGhlIHNhbXBsZSBub25jZQ==", 24, accept);
    CHECK_STR(accept, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
}

static void a_key_is_sixteen_bytes_in_base64(void)
{
    static const char *bad[] = {
        "",
        "dGhlIHNhbXBsZSBub25jZQ=",
        "dGhlIHNhbXBsZSBub25jZQ===",
        "dGhlIHNhbXBsZSBub25jZQAA",
        "dGhlIHNhbXBsZSBub25jZQA=",
        "dGhlIHNhbXBsZSBub25j=Q==",
        "dGhlIHNhbXBsZSBub25-ZQ==",
        "dGhlIHNhbXBsZSBub25 ZQ==",
        "dGhlIHNhbXBsZSBub25jZ-==",
        "-GhlIHNhbXBsZSBub25jZQ==",
        "dGhlIHNhbXBsZSBub24\xc3\xa9Q==",
        "dGhlIHNhbXBsZSBub25jZQ==dGhlIHNhbXBsZSBub25jZQ==",
    };
    CHECK(ws_key_valid("dGhlIHNhbXBsZSBub25jZQ==", 24));
    CHECK(ws_key_valid("AQIDBAUGBwgJCgsMDQ4PEC==", 24)); /* RFC 6455, section 4.1, just so */
    CHECK(ws_key_valid("++++////0000AAAAzzzz9w==", 24));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        CHECK(!ws_key_valid(bad[i], strlen(bad[i])));
}

int main(void)
{
    RUN(whole_messages_of_every_size);
    RUN(unmasking_is_right_at_every_offset_and_length);
    RUN(fragments_make_one_message);
    RUN(control_frames_may_come_between_fragments);
    RUN(a_control_frame_has_at_most_125_bytes_and_is_whole);
    RUN(reserved_bits_and_opcodes_fail);
    RUN(an_unmasked_frame_fails);
    RUN(fragments_out_of_order_fail);
    RUN(a_length_in_other_than_its_shortest_form_fails);
    RUN(bad_text_fails_with_the_byte_that_makes_it_bad);
    RUN(utf8_may_be_cut_by_fragments_and_starts_anew_with_each_message);
    RUN(a_message_above_the_limit_is_read_over_and_the_next_one_is_not);
    RUN(text_that_is_read_over_must_still_be_utf8);
    RUN(a_message_far_above_the_limit_fails_from_its_header);
    RUN(fragment_lengths_cannot_wrap_round);
    RUN(memory_follows_what_arrives_not_what_is_promised);
    RUN(close_codes_are_those_that_may_be_sent);
    RUN(close_has_no_payload_or_a_code_and_a_reason_in_utf8);
    RUN(nothing_is_read_after_close_or_failure);
    RUN(a_whole_frame_is_not_copied_and_is_taken_out_by_the_next_call);
    RUN(random_bytes_never_harm);
    RUN(frames_are_written_final_unmasked_and_with_the_shortest_length);
    RUN(a_close_reason_is_cut_between_code_points);
    RUN(the_accept_key_is_that_of_the_rfc);
    RUN(a_key_is_sixteen_bytes_in_base64);
    return DONE();
}

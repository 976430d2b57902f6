/*
 * HTTP/1.1: each rule of the parser by its own row, and every row in every splitting that counts.
 *
 * Bytes go to the parser in heap copies of their exact size, so that AddressSanitizer sees a
 * parser that looks one byte too far.
 */
#include "http.h"

#include <stdlib.h>

#include "buf.h"
#include "test.h"

enum { HEAD = 8192, BODY = 65536 };

#define BYTES(s) (s), sizeof(s) - 1

#define CHECK_ROW(condition, row)                                                                  \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            printf("# %s:%d: %s: %s\n", __FILE__, __LINE__, (row), #condition);                    \
            test_failed = 1;                                                                       \
        }                                                                                          \
    } while (0)

/* The views of *r are dead when this returns: for results and flags only. */
static long parse_copy(const char *bytes, size_t n, size_t max_head, struct http_request *r)
{
    uint8_t *copy = malloc(n ? n : 1);
    memcpy(copy, bytes, n);
    long rc = http_request_parse(copy, n, max_head, r);
    free(copy);
    return rc;
}

/* A refusal comes at some byte and stays; before it the parser asks for more. Returns the result
 * of all bytes. */
static long parse_growing(const char *bytes, size_t n, size_t max_head, const char *row)
{
    struct http_request r;
    long whole = parse_copy(bytes, n, max_head, &r);
    CHECK_ROW((whole < 0) == (r.error != NULL), row);
    long seen = 0;
    for (size_t i = 0; i <= n; i++) {
        long rc = parse_copy(bytes, i, max_head, &r);
        CHECK_ROW(rc == seen || (seen == 0 && rc == whole), row);
        CHECK_ROW(rc <= (long)i, row);
        seen = rc;
    }
    return whole;
}

static void a_request_is_taken_apart(void)
{
    static const char bytes[] =
        "POST /users/7?after=3&x=?y HTTP/1.1\r\nHost: chat.example:8080\r\n"
        "content-LENGTH:  12 \t\r\nX-Empty:\r\nX-Text: \xc3\xa9\tb \"c\"\r\n"
        "Expect: 100-Continue\r\n\r\n{\"a\":";
    struct http_request r;
    long n = http_request_parse((const uint8_t *)bytes, sizeof(bytes) - 1, HEAD, &r);
    CHECK(n == (long)sizeof(bytes) - 1 - 5);
    CHECK(r.error == NULL);
    CHECK(http_text_is(r.method, "POST"));
    CHECK(http_text_is(r.target, "/users/7?after=3&x=?y"));
    CHECK(http_text_is(r.path, "/users/7"));
    CHECK(http_text_is(r.query, "after=3&x=?y"));
    CHECK(http_text_is(r.host, "chat.example:8080"));
    CHECK(r.minor == 1 && r.content_length == 12 && !r.chunked);
    CHECK(r.keep_alive && r.expect_continue);
    CHECK(r.field_count == 5);
    CHECK(http_text_is(r.fields[1].name, "content-LENGTH"));
    CHECK(http_text_is(r.fields[1].value, "12"));
    CHECK(http_request_field(&r, "x-empty") && http_request_field(&r, "x-empty")->n == 0);
    CHECK(http_text_is(*http_request_field(&r, "X-TEXT"), "\xc3\xa9\tb \"c\""));
    CHECK(http_request_field(&r, "X-Tex") == NULL);
    CHECK(http_request_field_count(&r, "host") == 1);
    CHECK(http_request_field_count(&r, "cookie") == 0);
}

static void lists_are_searched_across_fields(void)
{
    static const char bytes[] =
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive,, Upgrade ,\r\n"
        "Upgrade: h2c\r\nconnection:\tx\r\nUpgrade: websocketx , WebSocket\r\n"
        "X-Quoted: \"a, b\\\", c\", d\r\nX-Quoted: \"e, f\r\n\r\n";
    struct http_request r;
    CHECK(http_request_parse((const uint8_t *)bytes, sizeof(bytes) - 1, HEAD, &r) > 0);
    CHECK(http_request_has_token(&r, "Connection", "upgrade"));
    CHECK(http_request_has_token(&r, "Connection", "keep-alive"));
    CHECK(http_request_has_token(&r, "Connection", "X"));
    CHECK(!http_request_has_token(&r, "Connection", "close"));
    CHECK(!http_request_has_token(&r, "Connection", "keep"));
    CHECK(http_request_has_token(&r, "upgrade", "websocket"));
    CHECK(!http_request_has_token(&r, "upgrade", "socket"));
    CHECK(http_request_has_token(&r, "X-Quoted", "d"));
    CHECK(!http_request_has_token(&r, "X-Quoted", "b"));
    CHECK(!http_request_has_token(&r, "X-Quoted", "c\""));
    CHECK(!http_request_has_token(&r, "X-Quoted", "f"));
    CHECK(http_request_field_count(&r, "upgrade") == 2);
    CHECK(!http_request_has_token(&r, "X-None", "x"));
}

static void texts_are_compared_whole(void)
{
    struct text t = {"Chunked", 7};
    CHECK(http_text_is(t, "Chunked") && !http_text_is(t, "chunked"));
    CHECK(http_text_is_nocase(t, "cHUNKED"));
    CHECK(!http_text_is_nocase(t, "chunke") && !http_text_is_nocase(t, "chunkedx"));
    CHECK(http_text_is((struct text){NULL, 0}, ""));
    CHECK(!http_text_is((struct text){NULL, 0}, "x"));
}

/* What each target means. NULL as path: refused with 400. */
static const struct {
    const char *method, *target, *path, *query, *host;
} targets[] = {
    {"GET", "/", "/", "", "field"},
    {"GET", "/a/b", "/a/b", "", "field"},
    {"GET", "/?", "/", "", "field"},
    {"GET", "/a?b?c", "/a", "b?c", "field"},
    {"GET", "//a//b", "//a//b", "", "field"},
    {"GET", "/%00%zz", "/%00%zz", "", "field"},
    {"GET", "http://h", "/", "", "h"},
    {"GET", "HTTPS://h:1", "/", "", "h:1"},
    {"GET", "http://h?q", "/", "q", "h"},
    {"GET", "http://h/p/?q", "/p/", "q", "h"},
    {"GET", "http://[::1]:80/p", "/p", "", "[::1]:80"},
    {"OPTIONS", "*", "*", "", "field"},
    {"OPTIONS", "/a", "/a", "", "field"},
    {"CONNECT", "h:443", "", "", "field"},
    {"GET", "*", NULL, NULL, NULL},
    {"OPTIONS", "**", NULL, NULL, NULL},
    {"OPTIONS", "*?a", NULL, NULL, NULL},
    {"GET", "a", NULL, NULL, NULL},
    {"GET", "h:443", NULL, NULL, NULL},
    {"GET", "?q", NULL, NULL, NULL},
    {"GET", "", NULL, NULL, NULL},
    {"CONNECT", "/a", NULL, NULL, NULL},
    {"CONNECT", "", NULL, NULL, NULL},
    {"GET", "ftp://h/", NULL, NULL, NULL},
    {"GET", "http:/h", NULL, NULL, NULL},
    {"GET", "http://", NULL, NULL, NULL},
    {"GET", "http:///p", NULL, NULL, NULL},
    {"GET", "http://:80/p", NULL, NULL, NULL},
    {"GET", "http://?q", NULL, NULL, NULL},
    {"GET", "http://user@h/", NULL, NULL, NULL},
    {"GET", "http://h:8x/", NULL, NULL, NULL},
    {"GET", "http://h\\/", NULL, NULL, NULL},
    {"GET", "/a#b", NULL, NULL, NULL},
    {"GET", "http://h/#b", NULL, NULL, NULL},
    {"GET", "/a b", NULL, NULL, NULL},
    {"GET", "/a\tb", NULL, NULL, NULL},
    {"GET", "/\x7f", NULL, NULL, NULL},
    {"GET", "/\x1f", NULL, NULL, NULL},
    {"GET", "/\xc3\xa9", NULL, NULL, NULL},
};

static void targets_of_each_form(void)
{
    for (size_t i = 0; i < sizeof(targets) / sizeof(targets[0]); i++) {
        char bytes[200];
        const char *row = targets[i].target;
        int n = snprintf(bytes, sizeof(bytes), "%s %s HTTP/1.1\r\nHost: field\r\n\r\n",
                         targets[i].method, row);
        struct http_request r;
        long rc = http_request_parse((const uint8_t *)bytes, (size_t)n, HEAD, &r);
        CHECK_ROW(rc == (targets[i].path ? n : -400), row);
        CHECK_ROW(parse_growing(bytes, (size_t)n, HEAD, row) == rc, row);
        if (!targets[i].path)
            continue;
        CHECK_ROW(http_text_is(r.path, targets[i].path), row);
        CHECK_ROW(http_text_is(r.query, targets[i].query), row);
        CHECK_ROW(http_text_is(r.host, targets[i].host), row);
    }
}

static void hosts_of_each_form(void)
{
    static const char *const good[] = {
        "",          "a",     "a:",           "a:80",  "A-b.c_d~e",
        "1.2.3.4:5", "[::1]", "[fe80::1]:80", "a%20b", "[::ffff:1.2.3.4]"};
    static const char *const bad[] = {":80", "a b",  "a:b",  "a:80:80", "a/b", "a?b",  "a#b",
                                      "a,b", "u@a",  "[::1", "::1",     "[]",  "[a]b", "[g]",
                                      "a%2", "a%zz", "a\\b", "a\"",     "<a>", "a, b", "\xc3\xa9"};
    struct http_request r;
    char bytes[200];
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        int n = snprintf(bytes, sizeof(bytes), "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", good[i]);
        CHECK_ROW(http_request_parse((uint8_t *)bytes, (size_t)n, HEAD, &r) == n, good[i]);
        CHECK_ROW(http_text_is(r.host, good[i]), good[i]);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        int n = snprintf(bytes, sizeof(bytes), "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", bad[i]);
        CHECK_ROW(http_request_parse((uint8_t *)bytes, (size_t)n, HEAD, &r) == -400, bad[i]);
    }
}

/* What the fields of a valid head settle. */
#define M16 "METHODMETHODMETH"
#define M64 M16 M16 M16 M16
#define M65 M64 "M"
#define V11 "GET / HTTP/1.1\r\nHost: a\r\n"
#define V10 "GET / HTTP/1.0\r\n"

static const struct {
    const char *bytes;
    int64_t content_length;
    bool chunked, keep_alive, expect_continue;
} settled[] = {
    {V11 "\r\n", -1, false, true, false},
    {V10 "\r\n", -1, false, false, false},
    {V10 "Host: a\r\n\r\n", -1, false, false, false},
    {"\r\n" V11 "\r\n", -1, false, true, false},
    {V11 "Connection: close\r\n\r\n", -1, false, false, false},
    {V11 "Connection: upgrade, CLOSE\r\n\r\n", -1, false, false, false},
    {V11 "Connection: keep-alive\r\nConnection: close\r\n\r\n", -1, false, false, false},
    {V10 "Connection: Keep-Alive\r\n\r\n", -1, false, true, false},
    {V10 "Connection: close, keep-alive\r\n\r\n", -1, false, false, false},
    {V11 "Connection: closed\r\n\r\n", -1, false, true, false},
    {V11 "Content-Length: 0\r\n\r\n", 0, false, true, false},
    {V11 "Content-Length:0010\r\n\r\n", 10, false, true, false},
    {V10 "Content-Length: 3\r\n\r\n", 3, false, false, false},
    {V11 "Content-Length: 9223372036854775807\r\n\r\n", INT64_MAX, false, true, false},
    {V11 "Transfer-Encoding: chunked\r\n\r\n", -1, true, true, false},
    {V11 "transfer-encoding:\tCHUNKED \r\n\r\n", -1, true, true, false},
    {V11 "Expect: 100-continue\r\n\r\n", -1, false, true, true},
    {V10 "Expect: 100-continue\r\n\r\n", -1, false, false, false},
    {V11 "Expect: , 100-continue ,,\r\n\r\n", -1, false, true, true},
    {V11 "Expect:\r\n\r\n", -1, false, true, false},
    {V11 "Connection:\r\nConnection: ,, close\r\n\r\n", -1, false, false, false},
    {"GET / HTTP/1.2\r\nHost: a\r\nExpect: 100-continue\r\n\r\n", -1, false, true, true},
    {"GET / HTTP/1.9\r\nHost: a\r\n\r\n", -1, false, true, false},
    {M64 " / HTTP/1.1\r\nHost: a\r\n\r\n", -1, false, true, false},
    {"M!#$%&'*+-.^_`|~09azAZ / HTTP/1.1\r\nHost: a\r\n!#$%&'*+-.^_`|~09azAZ: a\r\n\r\n", -1, false,
     true, false},
};

static void fields_settle_framing_and_connection(void)
{
    for (size_t i = 0; i < sizeof(settled) / sizeof(settled[0]); i++) {
        const char *row = settled[i].bytes;
        struct http_request r;
        long n = (long)strlen(row);
        CHECK_ROW(parse_copy(row, (size_t)n, HEAD, &r) == n, row);
        CHECK_ROW(r.content_length == settled[i].content_length, row);
        CHECK_ROW(r.chunked == settled[i].chunked, row);
        CHECK_ROW(r.keep_alive == settled[i].keep_alive, row);
        CHECK_ROW(r.expect_continue == settled[i].expect_continue, row);
        CHECK_ROW(parse_growing(row, (size_t)n, HEAD, row) == n, row);
    }
}

static void what_follows_the_head_is_left_alone(void)
{
    struct http_request r;
    CHECK(parse_copy(BYTES(V11 "\r\n" V11 "\r\n"), HEAD, &r) == (long)sizeof(V11) + 1);
    CHECK(parse_copy(BYTES(V11 "\r\n\0\n\r\x16"), HEAD, &r) == (long)sizeof(V11) + 1);
    CHECK(parse_copy(BYTES(V11 "\r\nbody"), sizeof(V11) + 1, &r) == (long)sizeof(V11) + 1);
}

static const struct {
    const char *bytes;
    size_t n;
    int status;
} refused_heads[] = {
    /* line ends */
    {BYTES("GET / HTTP/1.1\nHost: a\n\n"), 400},
    {BYTES("GET / HTTP/1.1\nHost: a\r\n\r\n"), 400},
    {BYTES(V11 "X: a\n\r\n"), 400},
    {BYTES(V11 "X: a\r\r\n\r\n"), 400},
    {BYTES(V11 "X: a\rY: b\r\n\r\n"), 400},
    {BYTES(V11 "\n"), 400},
    {BYTES(V11 "\r\r\n"), 400},
    {BYTES("\n" V11 "\r\n"), 400},
    {BYTES("\r" V11 "\r\n"), 400},
    {BYTES("\r\n\r\n" V11 "\r\n"), 400},
    {BYTES("\r\n\n" V11 "\r\n"), 400},
    {BYTES("\0"), 400},
    {BYTES("GET /\0 HTTP/1.1\r\n"), 400},
    {BYTES("GET / HTTP/1.1\0\r\n"), 400},
    {BYTES(V11 "X\0: a\r\n\r\n"), 400},
    {BYTES(V11 "X: a\0b\r\n\r\n"), 400},
    /* request line */
    {BYTES("\x16\x03\x01\x02"), 400},
    {BYTES(" GET / HTTP/1.1\r\n"), 400},
    {BYTES("\tGET / HTTP/1.1\r\n"), 400},
    {BYTES("GE(T"), 400},
    {BYTES("G\xc3\x89T"), 400},
    {BYTES("GET\t/ HTTP/1.1\r\n"), 400},
    {BYTES("GET:"), 400},
    {BYTES("GET\r\n"), 400},
    {BYTES("GET \r\n"), 400},
    {BYTES("GET /\r\n"), 400},
    {BYTES("GET / \r\n"), 400},
    {BYTES("GET  / HTTP/1.1\r\n"), 400},
    {BYTES("GET /  HTTP/1.1\r\n"), 400},
    {BYTES("GET / HTTP/1.1 \r\n"), 400},
    {BYTES("GET / a HTTP/1.1\r\n"), 400},
    {BYTES("GET / http/1.1\r\n"), 400},
    {BYTES("GET / HTTP/1\r\n"), 400},
    {BYTES("GET / HTTP/1.\r\n"), 400},
    {BYTES("GET / HTTP/1.11\r\n"), 400},
    {BYTES("GET / HTTP/01.1\r\n"), 400},
    {BYTES("GET / HTTP/1,1\r\n"), 400},
    {BYTES("GET / HTTP/a.1\r\n"), 400},
    {BYTES("GET / XTTP/1.1\r\n"), 400},
    {BYTES("GET / HTTP/2.1\r\n"), 505},
    {BYTES("GET / HTTP/0.9\r\n"), 505},
    {BYTES("GET / HTTP/3.0\r\n"), 505},
    {BYTES("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), 505},
    /* fields */
    {BYTES(V11 "X : a\r\n\r\n"), 400},
    {BYTES(V11 "X\t: a\r\n\r\n"), 400},
    {BYTES(V11 " X: a\r\n\r\n"), 400},
    {BYTES(V11 "X: a\r\n b\r\n\r\n"), 400},
    {BYTES(V11 "X: a\r\n\tb\r\n\r\n"), 400},
    {BYTES(V11 "X: a\r\n \r\n\r\n"), 400},
    {BYTES("GET / HTTP/1.1\r\n Host: a\r\n\r\n"), 400},
    {BYTES(V11 ": a\r\n\r\n"), 400},
    {BYTES(V11 "X\r\n\r\n"), 400},
    {BYTES(V11 "X Y: a\r\n\r\n"), 400},
    {BYTES(V11 "X(: a\r\n\r\n"), 400},
    {BYTES(V11 "X\xc3\xa9: a\r\n\r\n"), 400},
    {BYTES(V11 "X: \x01\r\n\r\n"), 400},
    {BYTES(V11 "X: \x0b\r\n\r\n"), 400},
    {BYTES(V11 "X: a\x1b[2J\r\n\r\n"), 400},
    {BYTES(V11 "X: a\x7f\r\n\r\n"), 400},
    /* Host */
    {BYTES("GET / HTTP/1.1\r\n\r\n"), 400},
    {BYTES("GET http://a/ HTTP/1.1\r\n\r\n"), 400},
    {BYTES(V11 "Host: a\r\n\r\n"), 400},
    {BYTES(V11 "hOST: b\r\n\r\n"), 400},
    {BYTES(V10 "Host: a\r\nHost: a\r\n\r\n"), 400},
    {BYTES(V10 "Host: a b\r\n\r\n"), 400},
    {BYTES("GET http://a/ HTTP/1.1\r\nHost: a@b\r\n\r\n"), 400},
    /* Expect */
    {BYTES(V11 "Expect: 100-continue, 200-ok\r\n\r\n"), 417},
    {BYTES(V11 "Expect: 100-continue\r\nExpect: x\r\n\r\n"), 417},
    {BYTES(V11 "Expect: 100-continue;a=b\r\n\r\n"), 417},
    /* what may stand once */
    {BYTES(V11 "Content-Type: a/b\r\ncontent-type: a/b\r\n\r\n"), 400},
    {BYTES(V11 "Authorization: Bearer a\r\nAuthorization: Bearer a\r\n\r\n"), 400},
    {BYTES(V11 "Origin: http://a\r\nX: y\r\nOrigin: http://a\r\n\r\n"), 400},
    {BYTES(V11 "Idempotency-Key: a\r\nIdempotency-Key: b\r\n\r\n"), 400},
    {BYTES(V11 "Last-Event-ID: a\r\nLast-Event-ID:\r\n\r\n"), 400},
    {BYTES(V11 "Sec-WebSocket-Key: a\r\nSec-WebSocket-Key: a\r\n\r\n"), 400},
    {BYTES(V11 "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Version: 8\r\n\r\n"), 400},
    /* a method that none can be: told by its first 65 bytes, whatever follows */
    {BYTES(M65 " / HTTP/1.1\r\n"), 501},
    {BYTES(M65 "\xff"), 501},
    {BYTES(M65), 501},
};

static void malformed_heads_are_refused(void)
{
    for (size_t i = 0; i < sizeof(refused_heads) / sizeof(refused_heads[0]); i++) {
        const char *row = refused_heads[i].bytes;
        CHECK_ROW(parse_growing(row, refused_heads[i].n, HEAD, row) == -refused_heads[i].status,
                  row);
    }
}

static void what_is_not_http_is_refused_at_once(void)
{
    struct http_request r;
    CHECK(parse_copy(BYTES("\x16"), HEAD, &r) == -400 && r.error);
    CHECK(parse_copy(BYTES("GET\x01"), HEAD, &r) == -400);
    CHECK(parse_copy(BYTES("GET / HTTP/2.0\r\n"), HEAD, &r) == -505);
    CHECK(parse_copy(BYTES("GET x HTTP/1.1\r\n"), HEAD, &r) == -400);
    CHECK(parse_copy(BYTES(V11 "X : a\r\n"), HEAD, &r) == -400);
    CHECK(parse_copy(BYTES(V11 "X: a\0"), HEAD, &r) == -400);
    CHECK(parse_copy(BYTES(V11 "X: a\n"), HEAD, &r) == -400);
    CHECK(parse_copy(BYTES(V11 "X: a\r\n"), HEAD, &r) == 0);
    CHECK(parse_copy("", 0, HEAD, &r) == 0);
    CHECK(http_request_parse(NULL, 0, HEAD, &r) == 0);
}

static void a_long_request_line_is_414_a_long_method_501_and_a_long_head_431(void)
{
    char bytes[400];
    struct http_request r;
    memset(bytes, 'a', sizeof(bytes));
    memcpy(bytes, "GET /", 5);
    CHECK(parse_copy(bytes, 99, 100, &r) == 0);
    CHECK(parse_copy(bytes, 100, 100, &r) == -414);
    CHECK(parse_growing(bytes, sizeof(bytes), 100, "long target") == -414);
    memset(bytes, 'M', sizeof(bytes));
    CHECK(parse_growing(bytes, sizeof(bytes), 100, "long method") == -501);
    memset(bytes, 'a', sizeof(bytes));
    memcpy(bytes, BYTES("GET / HTTP/1.1\r\nHost: a\r\nX: "));
    CHECK(parse_growing(bytes, sizeof(bytes), 100, "long field") == -431);
    memcpy(bytes + 96, "\r\n\r\n", 4);
    CHECK(parse_growing(bytes, sizeof(bytes), 100, "just fits") == 100);
    CHECK(parse_growing(bytes, sizeof(bytes), 99, "one too long") == -431);
    CHECK(parse_copy("G", 1, 0, &r) == -414);
}

static void more_than_100_fields_are_431(void)
{
    struct buf b = BUF_INIT;
    struct http_request r;
    buf_puts(&b, V11);
    for (int i = 1; i < HTTP_MAX_FIELDS; i++)
        buf_printf(&b, "X%d: %d\r\n", i, i);
    size_t n = buf_len(&b);
    buf_puts(&b, "\r\n");
    CHECK(http_request_parse(buf_head(&b), buf_len(&b), HEAD, &r) == (long)n + 2);
    CHECK(r.field_count == 100 && http_text_is(*http_request_field(&r, "x99"), "99"));
    buf_truncate(&b, n);
    buf_puts(&b, "Y: 1\r\n");
    CHECK(http_request_parse(buf_head(&b), buf_len(&b), HEAD, &r) == -431);
    buf_free(&b);
}

/* Feeds bytes, step at a time, to a fresh reader for a body of this framing; returns the last
 * result and leaves payload and rest in *out and *in. */
static int read_body(const struct http_request *r, const char *bytes, size_t n, size_t step,
                     size_t max_body, struct buf *in, struct buf *out)
{
    struct http_body body;
    const char *error = NULL;
    http_body_init(&body, r);
    int rc = http_body_read(&body, in, out, max_body, &error);
    for (size_t i = 0; i < n && rc == 0; i += step) {
        size_t piece = n - i < step ? n - i : step;
        uint8_t *exact = malloc(piece);
        memcpy(exact, bytes + i, piece);
        buf_append(in, exact, piece);
        free(exact);
        rc = http_body_read(&body, in, out, max_body, &error);
        if (rc == 1)
            buf_append(in, bytes + i + piece, n - i - piece);
    }
    CHECK((rc < 0) == (error != NULL));
    /* An end stays an end, of either kind. */
    if (rc != 0)
        CHECK(http_body_read(&body, in, out, max_body, &error) == rc);
    return rc;
}

/* A body, read with a limit of 20 bytes, and what becomes of it. NULL: not looked at. */
static const struct {
    int64_t length; /* -2: chunked */
    const char *bytes;
    size_t n;
    int rc;
    const char *payload, *rest;
} bodies[] = {
    {-1, BYTES(""), 1, "", ""},
    {-1, BYTES("GET"), 1, "", "GET"},
    {0, BYTES("GET"), 1, "", "GET"},
    {5, BYTES("hello"), 1, "hello", ""},
    {5, BYTES("helloGET"), 1, "hello", "GET"},
    {5, BYTES("hell"), 0, "hell", ""},
    {20, BYTES("12345678901234567890"), 1, "12345678901234567890", ""},
    {21, BYTES("1"), -413, NULL, NULL},
    {INT64_MAX, BYTES("1"), -413, NULL, NULL},
    {-2, BYTES("0\r\n\r\n"), 1, "", ""},
    {-2, BYTES("5\r\nhello\r\n0\r\n\r\nGET"), 1, "hello", "GET"},
    {-2, BYTES("3\r\nhel\r\n002\r\nlo\r\n000\r\n\r\n"), 1, "hello", ""},
    {-2, BYTES("a\r\n\r\n0\r\n\r\n\0\r\n\r\n0\r\n\r\n"), 1, NULL, ""},
    {-2, BYTES("A\r\n0123456789\r\na\r\n0123456789\r\n0\r\n\r\n"), 1, "01234567890123456789", ""},
    {-2, BYTES("0000000000000005\r\nhello\r\n0\r\n\r\n"), 1, "hello", ""},
    {-2, BYTES("5;a\r\nhello\r\n0;b=c;d=\"e\"\r\n\r\n"), 1, "hello", ""},
    {-2, BYTES("5 \t; a = b\r\nhello\r\n0\r\n\r\n"), 1, "hello", ""},
    {-2, BYTES("0\r\nX: a\r\nContent-Length: 5\r\nY:\r\n\r\nGET"), 1, "", "GET"},
    {-2, BYTES("5\r\nhello\r\n"), 0, "hello", ""},
    {-2, BYTES("0\r\nX: a\r\n"), 0, "", ""},
    /* sizes */
    {-2, BYTES("\r\n"), -400, NULL, NULL},
    {-2, BYTES("g"), -400, NULL, NULL},
    {-2, BYTES("-1\r\n"), -400, NULL, NULL},
    {-2, BYTES("+1\r\n"), -400, NULL, NULL},
    {-2, BYTES("0x5\r\n"), -400, NULL, NULL},
    {-2, BYTES("5_0\r\n"), -400, NULL, NULL},
    {-2, BYTES(" 5\r\n"), -400, NULL, NULL},
    {-2, BYTES("5 \r\nhello\r\n"), -400, NULL, NULL},
    {-2, BYTES("5\t\r\nhello\r\n"), -400, NULL, NULL},
    {-2, BYTES("5 5\r\n"), -400, NULL, NULL},
    {-2, BYTES(";a\r\n"), -400, NULL, NULL},
    {-2, BYTES("5,\r\n"), -400, NULL, NULL},
    {-2, BYTES("00000000000000005\r\nhello\r\n"), -400, NULL, NULL},
    {-2, BYTES("10000000000000005\r\nhello\r\n"), -400, NULL, NULL},
    {-2, BYTES("ffffffffffffffff\r\n"), -413, NULL, NULL},
    {-2, BYTES("15\r\n"), -413, NULL, NULL},
    {-2, BYTES("a\r\n0123456789\r\nb\r\n"), -413, NULL, NULL},
    {-2, BYTES("1\r\na\r\nffffffffffffffff\r\n"), -413, NULL, NULL},
    /* extensions */
    {-2, BYTES("5;\x01\r\nhello\r\n"), -400, NULL, NULL},
    {-2, BYTES("5;a\0b\r\nhello\r\n"), -400, NULL, NULL},
    {-2, BYTES("5;a\nhello\r\n0\r\n\r\n"), -400, NULL, NULL},
    {-2, BYTES("5;a=\"\r\"\r\nhello\r\n"), -400, NULL, NULL},
    {-2, BYTES("5;a=\";b\"; c=\"\\\"d\" ;e\r\nhello\r\n0\r\n\r\n"), 1, "hello", ""},
    {-2, BYTES("5;a=\"b\r\nhello\r\n0\r\n\r\n"), -400, NULL, NULL},
    {-2, BYTES("5;a=\"b\\\"\r\nhello\r\n0\r\n\r\n"), -400, NULL, NULL},
    {-2, BYTES("5;a=\"b\"c\r\nhello\r\n0\r\n\r\n"), -400, NULL, NULL},
    {-2, BYTES("5;\r\nhello\r\n0\r\n\r\n"), -400, NULL, NULL},
    {-2, BYTES("5;a;\r\nhello\r\n0\r\n\r\n"), -400, NULL, NULL},
    {-2, BYTES("5;a=\r\nhello\r\n0\r\n\r\n"), -400, NULL, NULL},
    {-2, BYTES("5;a b\r\nhello\r\n0\r\n\r\n"), -400, NULL, NULL},
    {-2, BYTES("5;a=b=c\r\nhello\r\n0\r\n\r\n"), -400, NULL, NULL},
    {-2, BYTES("5;=b\r\nhello\r\n0\r\n\r\n"), -400, NULL, NULL},
    /* line ends */
    {-2, BYTES("5\nhello\r\n0\r\n\r\n"), -400, NULL, NULL},
    {-2, BYTES("5\rhello\r\n0\r\n\r\n"), -400, NULL, NULL},
    {-2, BYTES("5\r\r\nhello\r\n0\r\n\r\n"), -400, NULL, NULL},
    {-2, BYTES("5\r\nhello\n0\r\n\r\n"), -400, NULL, NULL},
    {-2, BYTES("5\r\nhello\rx0\r\n\r\n"), -400, NULL, NULL},
    {-2, BYTES("5\r\nhello!\r\n0\r\n\r\n"), -400, NULL, NULL},
    {-2, BYTES("5\r\nhell\r\n0\r\n\r\n"), -400, NULL, NULL},
    {-2, BYTES("5\r\nhello0\r\n\r\n"), -400, NULL, NULL},
    {-2, BYTES("0\r\n\n"), -400, NULL, NULL},
    {-2, BYTES("0\r\n\rx"), -400, NULL, NULL},
    {-2, BYTES("0\n\n"), -400, NULL, NULL},
    /* trailers */
    {-2, BYTES("0\r\nX : a\r\n\r\n"), -400, NULL, NULL},
    {-2, BYTES("0\r\nX\r\n\r\n"), -400, NULL, NULL},
    {-2, BYTES("0\r\nX: a\r\n b\r\n\r\n"), -400, NULL, NULL},
    {-2, BYTES("0\r\nX: \x01\r\n\r\n"), -400, NULL, NULL},
    {-2, BYTES("0\r\nGET / HTTP/1.1\r\n\r\n"), -400, NULL, NULL},
};

static void bodies_in_pieces_of_every_size(void)
{
    for (size_t i = 0; i < sizeof(bodies) / sizeof(bodies[0]); i++) {
        struct http_request r = {.content_length = bodies[i].length < 0 ? -1 : bodies[i].length,
                                 .chunked = bodies[i].length == -2};
        for (size_t step = 1; step <= bodies[i].n + 1; step++) {
            struct buf in = BUF_INIT, out = BUF_INIT;
            const char *row = bodies[i].bytes;
            int rc = read_body(&r, row, bodies[i].n, step, 20, &in, &out);
            CHECK_ROW(rc == bodies[i].rc, row);
            /* A body of no length is complete before the first piece. */
            if (rc == 1 && bodies[i].length < 1 && bodies[i].length != -2)
                buf_append(&in, row, bodies[i].n);
            if (bodies[i].payload) {
                CHECK_ROW(buf_len(&out) == strlen(bodies[i].payload), row);
                CHECK_ROW(buf_len(&out) == 0 ||
                              memcmp(buf_head(&out), bodies[i].payload, buf_len(&out)) == 0,
                          row);
            }
            if (bodies[i].rest) {
                CHECK_ROW(buf_len(&in) == strlen(bodies[i].rest), row);
                CHECK_ROW(buf_len(&in) == 0 ||
                              memcmp(buf_head(&in), bodies[i].rest, buf_len(&in)) == 0,
                          row);
            }
            buf_free(&in);
            buf_free(&out);
        }
    }
}

/* A chunked body with head, then fill times n, then tail, in pieces of one byte and at once. */
static void check_filled_body(const char *head, char fill, size_t n, const char *tail, int want)
{
    struct http_request r = {.content_length = -1, .chunked = true};
    struct buf bytes = BUF_INIT;
    buf_puts(&bytes, head);
    memset(buf_reserve(&bytes, n), fill, n);
    buf_commit(&bytes, n);
    buf_puts(&bytes, tail);
    size_t steps[] = {1, 2, 3, 1000, buf_len(&bytes)};
    for (size_t i = 0; i < 5; i++) {
        struct buf in = BUF_INIT, out = BUF_INIT;
        CHECK_ROW(read_body(&r, (char *)buf_head(&bytes), buf_len(&bytes), steps[i], BODY, &in,
                            &out) == want,
                  head);
        buf_free(&in);
        buf_free(&out);
    }
    buf_free(&bytes);
}

static void chunk_lines_and_trailers_are_bounded(void)
{
    check_filled_body("0;", 'a', 252, "\r\n\r\n", 1);
    check_filled_body("0;", 'a', 253, "\r\n\r\n", -400);
    check_filled_body("0;", 'a', 100000, "", -400);
    check_filled_body("0", ' ', 300, "", -400);
    check_filled_body("", '0', 300, "", -400);
    check_filled_body("0\r\nX: ", 'a', 4096 - 3 - 4, "\r\n\r\n", 1);
    check_filled_body("0\r\nX: ", 'a', 4096 - 3 - 3, "\r\n\r\n", -431);
    check_filled_body("0\r\nX: a\r\nY: ", 'a', 4096 - 9 - 4, "\r\n\r\n", 1);
    check_filled_body("0\r\nX: a\r\nY: ", 'a', 4096 - 9 - 3, "\r\n\r\n", -431);
    check_filled_body("0\r\nX: a\r\nY: ", 'a', 4096, "\n", -431);
    check_filled_body("0\r\n", 'a', 10000, "", -431);
}

static void the_extensions_of_all_chunks_together_are_bounded(void)
{
    struct http_request r = {.content_length = -1, .chunked = true};
    struct buf in = BUF_INIT, out = BUF_INIT;
    struct http_body body;
    const char *error = NULL;
    int rc = 0, chunks = 0;
    http_body_init(&body, &r);
    for (; rc == 0 && chunks < 10000; chunks++) {
        buf_puts(&in, "1;ext=val\r\nx\r\n");
        rc = http_body_read(&body, &in, &out, BODY, &error);
    }
    CHECK(rc == -400 && chunks == 4096 / 8 + 1 && error);
    buf_free(&in);
    buf_free(&out);
}

static void endless_small_trailers_are_431(void)
{
    struct http_request r = {.content_length = -1, .chunked = true};
    struct buf in = BUF_INIT, out = BUF_INIT;
    struct http_body body;
    const char *error = NULL;
    int rc = 0, fields = 0;
    http_body_init(&body, &r);
    buf_puts(&in, "0\r\n");
    for (; rc == 0 && fields < 10000; fields++) {
        buf_puts(&in, "X:\r\n");
        rc = http_body_read(&body, &in, &out, BODY, &error);
    }
    CHECK(rc == -431 && fields == 1025 && error);
    buf_free(&in);
    buf_free(&out);
}

static void the_limit_holds_though_the_caller_drains_out(void)
{
    struct http_request r = {.content_length = -1, .chunked = true};
    struct buf in = BUF_INIT, out = BUF_INIT;
    struct http_body body;
    const char *error = NULL;
    http_body_init(&body, &r);
    int rc = 0, chunks = 0;
    for (; rc == 0 && chunks < 1000; chunks++) {
        buf_puts(&in, "8\r\n12345678\r\n");
        rc = http_body_read(&body, &in, &out, 80, &error);
        buf_consume(&out, buf_len(&out));
    }
    CHECK(rc == -413 && chunks == 11);
    buf_free(&in);
    buf_free(&out);
}

/* Streams in which two parsers might see different requests: each must end in this status before
 * any request in it was complete. */
#define POST     "POST / HTTP/1.1\r\nHost: a\r\n"
#define SMUGGLED "GET /admin HTTP/1.1\r\nHost: a\r\n\r\n"

static const struct {
    const char *bytes;
    size_t n;
    int status;
} smuggled[] = {
    /* two lengths */
    {BYTES(POST "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SMUGGLED), 400},
    {BYTES(POST "Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n" SMUGGLED), 400},
    {BYTES(POST "Content-Length: 0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SMUGGLED), 400},
    {BYTES(POST "Content-Length: 5\r\nTransfer-Encoding: identity\r\n\r\nhello" SMUGGLED), 400},
    {BYTES(POST "Content-Length: 5\r\nContent-Length: 0\r\n\r\nhello" SMUGGLED), 400},
    {BYTES(POST "Content-Length: 0\r\nContent-Length: 5\r\n\r\nhello" SMUGGLED), 400},
    {BYTES(POST "Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello" SMUGGLED), 400},
    {BYTES(POST "Content-Length: 5\r\ncontent-length: 5\r\n\r\nhello" SMUGGLED), 400},
    {BYTES(POST "Content-Length: 5, 5\r\n\r\nhello" SMUGGLED), 400},
    {BYTES(POST "Content-Length: 5,0\r\n\r\nhello" SMUGGLED), 400},
    /* lengths that numbers are not */
    {BYTES(POST "Content-Length:\r\n\r\n" SMUGGLED), 400},
    {BYTES(POST "Content-Length: \t \r\n\r\n" SMUGGLED), 400},
    {BYTES(POST "Content-Length: +5\r\n\r\nhello" SMUGGLED), 400},
    {BYTES(POST "Content-Length: -5\r\n\r\nhello" SMUGGLED), 400},
    {BYTES(POST "Content-Length: -0\r\n\r\n" SMUGGLED), 400},
    {BYTES(POST "Content-Length: 5 5\r\n\r\nhello" SMUGGLED), 400},
    {BYTES(POST "Content-Length: 0x5\r\n\r\nhello" SMUGGLED), 400},
    {BYTES(POST "Content-Length: 5.0\r\n\r\nhello" SMUGGLED), 400},
    {BYTES(POST "Content-Length: 5e0\r\n\r\nhello" SMUGGLED), 400},
    {BYTES(POST "Content-Length: 1_0\r\n\r\nhellohello" SMUGGLED), 400},
    {BYTES(POST "Content-Length: \"5\"\r\n\r\nhello" SMUGGLED), 400},
    {BYTES(POST "Content-Length: 5;\r\n\r\nhello" SMUGGLED), 400},
    {BYTES(POST "Content-Length: \xd9\xa5\r\n\r\nhello" SMUGGLED), 400},
    {BYTES(POST "Content-Length: five\r\n\r\nhello" SMUGGLED), 400},
    {BYTES(POST "Content-Length: \x0b"
                "5\r\n\r\nhello" SMUGGLED),
     400},
    {BYTES(POST "Content-Length: 9223372036854775808\r\n\r\n" SMUGGLED), 400},
    {BYTES(POST "Content-Length: 18446744073709551616\r\n\r\n" SMUGGLED), 400},
    {BYTES(POST "Content-Length: 18446744073709551621\r\n\r\nhello" SMUGGLED), 400},
    {BYTES(POST "Content-Length: 99999999999999999999999999999999\r\n\r\n" SMUGGLED), 400},
    {BYTES(POST "Content-Length: 9223372036854775807\r\n\r\n" SMUGGLED), 413},
    /* lengths that one side overlooks */
    {BYTES(POST "Content-Length : 5\r\n\r\nhello" SMUGGLED), 400},
    {BYTES(POST "Content-Length\t: 5\r\n\r\nhello" SMUGGLED), 400},
    {BYTES(POST " Content-Length: 5\r\n\r\nhello" SMUGGLED), 400},
    {BYTES(POST "X: a\r\n Content-Length: 5\r\n\r\nhello" SMUGGLED), 400},
    {BYTES(POST "X: a\nContent-Length: 5\r\n\r\nhello" SMUGGLED), 400},
    {BYTES(POST "X: a\rContent-Length: 5\r\n\r\nhello" SMUGGLED), 400},
    {BYTES(POST "X: a\0\r\nContent-Length: 5\r\n\r\nhello" SMUGGLED), 400},
    {BYTES(POST "Content-Length:\r\n 5\r\n\r\nhello" SMUGGLED), 400},
    {BYTES(POST "Content-Length\r\n: 5\r\n\r\nhello" SMUGGLED), 400},
    {BYTES(POST "Content-Length\0: 5\r\n\r\nhello" SMUGGLED), 400},
    {BYTES(POST "Content Length: 5\r\n\r\nhello" SMUGGLED), 400},
    {BYTES(POST "\x0b"
                "Content-Length: 5\r\n\r\nhello" SMUGGLED),
     400},
    {BYTES(POST "\xc2\xa0"
                "Content-Length: 5\r\n\r\nhello" SMUGGLED),
     400},
    /* codings */
    {BYTES(POST "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" SMUGGLED), 400},
    {BYTES(POST "Transfer-Encoding: chunkedx\r\n\r\n0\r\n\r\n" SMUGGLED), 400},
    {BYTES(POST "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" SMUGGLED), 501},
    {BYTES(POST "Transfer-Encoding: chunked, gzip\r\n\r\n0\r\n\r\n" SMUGGLED), 400},
    {BYTES(POST "Transfer-Encoding: identity\r\n\r\n0\r\n\r\n" SMUGGLED), 400},
    {BYTES(POST "Transfer-Encoding: chunked;q=1\r\n\r\n0\r\n\r\n" SMUGGLED), 400},
    {BYTES(POST "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n" SMUGGLED), 400},
    {BYTES(POST "Transfer-Encoding: 'chunked'\r\n\r\n0\r\n\r\n" SMUGGLED), 400},
    {BYTES(POST "Transfer-Encoding: chunked chunked\r\n\r\n0\r\n\r\n" SMUGGLED), 400},
    {BYTES(POST "Transfer-Encoding: \xc2\xa0"
                "chunked\r\n\r\n0\r\n\r\n" SMUGGLED),
     400},
    {BYTES(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: x\r\n\r\n0\r\n\r\n"), 400},
    {BYTES(POST "Transfer-Encoding: x\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 501},
    {BYTES(POST "Transfer-Encoding: chunked, chunked\r\n\r\n0\r\n\r\n" SMUGGLED), 400},
    {BYTES(POST "Transfer-Encoding: chunked,\r\n\r\n0\r\n\r\n" SMUGGLED), 400},
    {BYTES(POST "Transfer-Encoding: ,chunked\r\n\r\n0\r\n\r\n" SMUGGLED), 400},
    {BYTES(POST "Transfer-Encoding:\r\n\r\n0\r\n\r\n" SMUGGLED), 400},
    {BYTES(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding:\r\n\r\n0\r\n\r\n"), 400},
    {BYTES(POST "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n"), 400},
    {BYTES(POST "Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n" SMUGGLED), 400},
    {BYTES(POST "Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n" SMUGGLED), 400},
    {BYTES(POST "Transfer-Encoding:\nchunked\r\n\r\n0\r\n\r\n" SMUGGLED), 400},
    {BYTES(POST "Transfer-Encoding: \x0b"
                "chunked\r\n\r\n0\r\n\r\n" SMUGGLED),
     400},
    {BYTES(POST "Transfer-Encoding: chunked\x0c\r\n\r\n0\r\n\r\n" SMUGGLED), 400},
    {BYTES(POST "Transfer-Encoding: chunked\0\r\n\r\n0\r\n\r\n" SMUGGLED), 400},
    {BYTES(POST "X: a\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SMUGGLED), 400},
    {BYTES("POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" SMUGGLED), 400},
    {BYTES("POST / HTTP/1.0\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n" SMUGGLED), 400},
    /* request lines */
    {BYTES("GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n" SMUGGLED), 400},
    {BYTES("GET / HTTP/1.1\r\nHost: a, b\r\n\r\n" SMUGGLED), 400},
    {BYTES("GET /\r\nGET /admin HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
    {BYTES("GET / HTTP/1.1\rHost: a\r\n\r\n" SMUGGLED), 400},
    {BYTES("GET /a HTTP/1.1 /b HTTP/1.1\r\nHost: a\r\n\r\n" SMUGGLED), 400},
    {BYTES("GET http://a@b/ HTTP/1.1\r\nHost: b\r\n\r\n" SMUGGLED), 400},
    {BYTES("GET /a\r\n HTTP/1.1\r\nHost: a\r\n\r\n"), 400},
/* chunks */
#define CHUNKED POST "Transfer-Encoding: chunked\r\n\r\n"
    {BYTES(CHUNKED "5\nhello\r\n0\r\n\r\n" SMUGGLED), 400},
    {BYTES(CHUNKED "5;\nxx\r\nhello\r\n0\r\n\r\n" SMUGGLED), 400},
    {BYTES(CHUNKED "5\r\nhelloXX0\r\n\r\n" SMUGGLED), 400},
    {BYTES(CHUNKED "5\r\nhello\n\n0\r\n\r\n" SMUGGLED), 400},
    {BYTES(CHUNKED "100000000000000005\r\nhello\r\n0\r\n\r\n" SMUGGLED), 400},
    {BYTES(CHUNKED "fffffffffffffffb\r\nhello\r\n0\r\n\r\n" SMUGGLED), 413},
    {BYTES(CHUNKED "0x5\r\nhello\r\n0\r\n\r\n" SMUGGLED), 400},
    {BYTES(CHUNKED "5\0\r\nhello\r\n0\r\n\r\n" SMUGGLED), 400},
    {BYTES(CHUNKED "0\r\n" SMUGGLED), 400},
    {BYTES(CHUNKED "0\r\n\n" SMUGGLED), 400},
    {BYTES(CHUNKED "\r\n0\r\n\r\n" SMUGGLED), 400},
};

/* Reads all requests of a connection that arrives step bytes at a time, as a session would.
 * Returns how many were complete; *status is that of the refusal, or 0. */
static int serve(const char *bytes, size_t n, size_t step, int *status)
{
    struct buf in = BUF_INIT, out = BUF_INIT;
    struct http_body body;
    bool in_body = false;
    int served = 0;
    *status = 0;
    for (size_t i = 0; i < n && *status == 0; i += step) {
        buf_append(&in, bytes + i, n - i < step ? n - i : step);
        long rc = 1;
        while (rc > 0 && buf_len(&in) > 0) {
            struct http_request r;
            const char *error = NULL;
            if (!in_body) {
                rc = http_request_parse(buf_head(&in), buf_len(&in), HEAD, &r);
                if (rc <= 0)
                    break;
                buf_consume(&in, (size_t)rc);
                http_body_init(&body, &r);
                in_body = true;
            }
            rc = http_body_read(&body, &in, &out, BODY, &error);
            if (rc == 1) {
                in_body = false;
                served++;
            }
        }
        if (rc < 0)
            *status = (int)-rc;
    }
    buf_free(&in);
    buf_free(&out);
    return served;
}

static void smuggling_is_refused(void)
{
    for (size_t i = 0; i < sizeof(smuggled) / sizeof(smuggled[0]); i++) {
        size_t steps[] = {1, 7, smuggled[i].n};
        for (size_t s = 0; s < 3; s++) {
            int status;
            CHECK_ROW(serve(smuggled[i].bytes, smuggled[i].n, steps[s], &status) == 0,
                      smuggled[i].bytes);
            CHECK_ROW(status == smuggled[i].status, smuggled[i].bytes);
        }
    }
}

static const char pipeline[] =
    POST "Content-Length: 5\r\n\r\nhello" SMUGGLED CHUNKED "5;x\r\nhello\r\n0\r\nT: 1\r\n\r\n\r\n"
         "PUT http://h/p?q HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 3\r\n\r\nabc";

static void pipelined_requests_are_told_apart(void)
{
    for (size_t step = 1; step < sizeof(pipeline); step++) {
        int status;
        CHECK(serve(BYTES(pipeline), step, &status) == 4);
        CHECK(status == 0);
    }
}

/* Whatever the bytes, the outcome is the same however they were cut. */
static void mutated_requests_end_the_same_in_any_pieces(void)
{
    static const char spice[] = "\r\n\0 \t:,;0159afAF\x80\x7f/?#*HTP\"-chunked";
    unsigned seed = 1;
    for (int round = 0; round < 20000; round++) {
        char bytes[sizeof(pipeline)];
        memcpy(bytes, pipeline, sizeof(bytes));
        size_t n = sizeof(bytes) - 1;
        for (int changes = 1 + round % 3; changes > 0; changes--) {
            seed = seed * 1103515245 + 12345;
            size_t at = (seed >> 8) % n;
            seed = seed * 1103515245 + 12345;
            bytes[at] = spice[(seed >> 8) % (sizeof(spice) - 1)];
        }
        int one, all;
        int served = serve(bytes, n, 1, &one);
        CHECK_ROW(serve(bytes, n, n, &all) == served, bytes);
        CHECK_ROW(one == all, bytes);
    }
}

static void responses_begin_with_status_and_date(void)
{
    struct buf b = BUF_INIT;
    http_response_begin(&b, 200, 784111777);
    http_response_field(&b, "Content-Type", "application/json");
    http_response_fieldf(&b, "Content-Length", "%d", 42);
    http_response_field(&b, "X-Empty", "");
    http_response_end(&b);
    buf_append(&b, "", 1);
    CHECK_STR((char *)buf_head(&b), "HTTP/1.1 200 OK\r\n"
                                    "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n"
                                    "Content-Type: application/json\r\n"
                                    "Content-Length: 42\r\n"
                                    "X-Empty: \r\n\r\n");
    buf_free(&b);
    http_response_begin(&b, 431, 951782400);
    buf_append(&b, "", 1);
    CHECK_STR((char *)buf_head(&b), "HTTP/1.1 431 Request Header Fields Too Large\r\n"
                                    "Date: Tue, 29 Feb 2000 00:00:00 GMT\r\n");
    buf_free(&b);
}

static void a_value_cannot_split_the_response(void)
{
    struct buf b = BUF_INIT;
    http_response_field(&b, "A", "x\r\nSet-Cookie: y\x7f\x01\tz\xc3\xa9");
    http_response_fieldf(&b, "B", "%s%%%c", "\n\n", '\r');
    buf_append(&b, "", 1);
    CHECK_STR((char *)buf_head(&b), "A: x  Set-Cookie: y  \tz\xc3\xa9\r\nB:   % \r\n");
    buf_free(&b);
}

static void every_status_of_a_refusal_has_its_text(void)
{
    static const int sent[] = {100, 101, 200, 201, 204, 400, 401, 403, 404, 405, 408, 409, 411,
                               413, 414, 415, 417, 422, 426, 429, 431, 500, 501, 503, 505};
    for (size_t i = 0; i < sizeof(sent) / sizeof(sent[0]); i++)
        CHECK(strcmp(http_status_text(sent[i]), "Unknown") != 0);
    CHECK_STR(http_status_text(404), "Not Found");
    CHECK_STR(http_status_text(299), "Unknown");
}

int main(void)
{
    RUN(a_request_is_taken_apart);
    RUN(lists_are_searched_across_fields);
    RUN(texts_are_compared_whole);
    RUN(targets_of_each_form);
    RUN(hosts_of_each_form);
    RUN(fields_settle_framing_and_connection);
    RUN(what_follows_the_head_is_left_alone);
    RUN(malformed_heads_are_refused);
    RUN(what_is_not_http_is_refused_at_once);
    RUN(a_long_request_line_is_414_a_long_method_501_and_a_long_head_431);
    RUN(more_than_100_fields_are_431);
    RUN(bodies_in_pieces_of_every_size);
    RUN(chunk_lines_and_trailers_are_bounded);
    RUN(the_extensions_of_all_chunks_together_are_bounded);
    RUN(endless_small_trailers_are_431);
    RUN(the_limit_holds_though_the_caller_drains_out);
    RUN(smuggling_is_refused);
    RUN(pipelined_requests_are_told_apart);
    RUN(mutated_requests_end_the_same_in_any_pieces);
    RUN(responses_begin_with_status_and_date);
    RUN(a_value_cannot_split_the_response);
    RUN(every_status_of_a_refusal_has_its_text);
    return DONE();
}

/*
 * HTTP: a request head and the body behind it. What is found depends on the bytes and not on the
 * pieces in which they come, and every view of an accepted head lies inside that head.
 */
#include "fuzz.h"

#include "buf.h"
#include "http.h"

enum { MAX_HEAD = 4096, MAX_BODY = 2000 };

static void require_inside(struct text t, const uint8_t *data, size_t n)
{
    const uint8_t *p = (const uint8_t *)t.p;
    REQUIRE(t.p && (t.n == 0 || (p >= data && p + t.n <= data + n)));
}

static void check_head(const struct http_request *r, const uint8_t *data, size_t n)
{
    require_inside(r->method, data, n);
    require_inside(r->target, data, n);
    require_inside(r->query, data, n);
    REQUIRE(r->path.p && r->host.p && r->field_count <= HTTP_MAX_FIELDS);
    REQUIRE(r->method.n > 0 && r->target.n > 0 && (r->minor == 0 || r->minor == 1));
    REQUIRE(r->content_length >= -1 && !(r->chunked && r->content_length >= 0));
    for (size_t i = 0; i < r->field_count; i++) {
        require_inside(r->fields[i].name, data, n);
        require_inside(r->fields[i].value, data, n);
        REQUIRE(r->fields[i].name.n > 0 &&
                !memchr(r->fields[i].value.p, '\r', r->fields[i].value.n));
    }
}

/* The result of the first call that is not "more", with the head growing piece by piece. */
static long parse_in_pieces(const uint8_t *data, size_t size, struct draw *d, const char **error)
{
    long result = 0;
    for (size_t have = 0; have < size && result == 0;) {
        have += draw_piece(d, size - have);
        struct http_request r;
        uint8_t *copy = exact_copy(data, have);
        result = http_request_parse(copy, have, MAX_HEAD, &r);
        *error = result < 0 ? r.error : NULL;
        free(copy);
    }
    return result;
}

/* Reads a body; d: in pieces. Leaves the payload in out and what followed the body in in. */
static int read_body(const struct http_request *r, const uint8_t *data, size_t size, struct draw *d,
                     struct buf *in, struct buf *out)
{
    struct http_body body;
    const char *error = NULL;
    http_body_init(&body, r);
    int result = http_body_read(&body, in, out, MAX_BODY, &error);
    size_t at = 0;
    while (at < size && result == 0) {
        size_t n = d ? draw_piece(d, size - at) : size;
        buf_append(in, data + at, n);
        at += n;
        result = http_body_read(&body, in, out, MAX_BODY, &error);
    }
    buf_append(in, data + at, size - at);
    REQUIRE(buf_len(out) <= MAX_BODY && buf_len(in) + buf_len(out) <= size);
    REQUIRE(result >= 0 || (error && http_body_read(&body, in, out, MAX_BODY, &error) == result));
    return result;
}

static void check_body(const struct http_request *r, const uint8_t *data, size_t size,
                       struct draw *d)
{
    struct buf in1 = BUF_INIT, out1 = BUF_INIT, in2 = BUF_INIT, out2 = BUF_INIT;
    int whole = read_body(r, data, size, NULL, &in1, &out1);
    REQUIRE(read_body(r, data, size, d, &in2, &out2) == whole);
    REQUIRE(whole < 0 || (buf_len(&out1) == buf_len(&out2) && buf_len(&in1) == buf_len(&in2)));
    REQUIRE(whole < 0 || buf_len(&out1) == 0 ||
            memcmp(buf_head(&out1), buf_head(&out2), buf_len(&out1)) == 0);
    if (whole == 1 && !r->chunked) {
        size_t length = r->content_length > 0 ? (size_t)r->content_length : 0;
        REQUIRE(buf_len(&out1) == length && buf_len(&in1) == size - length);
    }
    buf_free(&in1);
    buf_free(&out1);
    buf_free(&in2);
    buf_free(&out2);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct draw d = draw_from(data, size);
    struct http_request r;
    const char *error = NULL;
    long whole = http_request_parse(data, size, MAX_HEAD, &r);
    REQUIRE(whole <= (long)size && whole <= MAX_HEAD);
    REQUIRE(parse_in_pieces(data, size, &d, &error) == whole);
    if (whole < 0)
        REQUIRE(whole <= -400 && whole > -600 && r.error && strcmp(r.error, error) == 0);
    if (whole <= 0)
        return 0;
    size_t head = (size_t)whole;
    uint8_t *copy = exact_copy(data, head);
    REQUIRE(http_request_parse(copy, head, MAX_HEAD, &r) == whole);
    check_head(&r, copy, head);
    check_body(&r, data + head, size - head, &d);
    free(copy);
    return 0;
}

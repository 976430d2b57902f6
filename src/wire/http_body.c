/*
 * The request body: Content-Length or chunked (RFC 9112 6 and 7), a piece at a time; see http.h.
 *
 * Chunk extensions and trailer fields are checked for form, bounded, and dropped: chatd does not
 * use them, and a trailer must never pass for a header field. Each step checks before it consumes,
 * so that a refused body is refused again on every call.
 */
#include "buf.h"
#include "http_syntax.h"

/* In bytes, with every CRLF. */
enum { MAX_CHUNK_LINE = 256, MAX_EXTENSIONS = 4096, MAX_TRAILERS = 4096 };

enum { MAX_SIZE_DIGITS = 16 };

/* What peek_line() says beside HTTP_LINE_*. */
enum { LINE_TOO_LONG = 2 };

static int refuse_body(const char **error, int status, const char *why)
{
    *error = why;
    return -status;
}

void http_body_init(struct http_body *body, const struct http_request *r)
{
    *body = (struct http_body){.state = HTTP_BODY_DONE};
    if (r->chunked) {
        body->state = HTTP_BODY_CHUNK_SIZE;
    } else if (r->content_length > 0) {
        body->state = HTTP_BODY_FIXED;
        body->left = (uint64_t)r->content_length;
    }
}

/* Moves payload; true once none is left to come. */
static bool move_payload(struct http_body *body, struct buf *in, struct buf *out)
{
    size_t n = buf_len(in);
    if (n > body->left)
        n = (size_t)body->left;
    if (n > 0) {
        buf_append(out, buf_head(in), n);
        buf_consume(in, n);
        body->left -= n;
        body->total += n;
    }
    return body->left == 0;
}

static int refuse_too_large(const char **error)
{
    return refuse_body(error, 413, "the body is too large: send a smaller one");
}

static int read_fixed(struct http_body *body, struct buf *in, struct buf *out, size_t max_body,
                      const char **error)
{
    /* The sum is always the Content-Length, below 2^63. */
    if (body->total + body->left > max_body)
        return refuse_too_large(error);
    if (!move_payload(body, in, out))
        return 0;
    body->state = HTTP_BODY_DONE;
    return 1;
}

/* The line at the front of in, which may take max bytes with its CRLF; see http_line_cut(). */
static int peek_line(const struct buf *in, size_t max, struct text *line, const char **error)
{
    *line = (struct text){"", 0};
    size_t n = buf_len(in);
    if (n == 0)
        return HTTP_LINE_MORE;
    int got = http_line_cut(buf_head(in), n < max ? n : max, line, error);
    return got == HTTP_LINE_MORE && n >= max ? LINE_TOO_LONG : got;
}

static int hex_value(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return -1;
}

/* Size and extensions of a chunk line, which may still lack its end. False if it is malformed. */
static bool parse_chunk_line(struct text line, uint64_t *size, struct text *extensions)
{
    size_t n = 0;
    *size = 0;
    *extensions = (struct text){"", 0};
    for (; n < line.n && hex_value(line.p[n]) >= 0; n++) {
        if (n == MAX_SIZE_DIGITS)
            return false;
        *size = *size << 4 | (uint64_t)hex_value(line.p[n]);
    }
    if (n == line.n)
        return true;
    /* Space may precede the ';' of an extension, and nothing else (RFC 9112 7.1.1). */
    *extensions = (struct text){line.p + n, line.n - n};
    struct text text = http_text_trim(*extensions);
    return n > 0 && text.n > 0 && text.p[0] == ';' && http_text_is_printable(*extensions);
}

/* They mean nothing here, but another parser could see the end of line elsewhere after an unclosed
 * quote. */
static bool extensions_are_valid(struct text extensions)
{
    struct text name, value;
    int got;
    while ((got = http_parameter_next(&extensions, &name, &value)) > 0)
        ;
    return got == 0;
}

/* As parse_chunk_line(), for a line that is not whole: spaces may still get their ';'. */
static bool chunk_line_is_possible(struct text line)
{
    uint64_t size;
    struct text extensions;
    size_t n = line.n;
    while (n > 0 && (line.p[n - 1] == ' ' || line.p[n - 1] == '\t'))
        n--;
    return line.n == 0 || (n > 0 && parse_chunk_line((struct text){line.p, n}, &size, &extensions));
}

static int read_chunk_size(struct http_body *body, struct buf *in, size_t max_body,
                           const char **error)
{
    static const char form[] = "a chunk does not begin with its size in hexadecimal and CR LF";
    static const char too_long[] = "the extensions of chunks are too long: leave them out";
    struct text line, extensions;
    int got = peek_line(in, MAX_CHUNK_LINE, &line, error);
    if (got == HTTP_LINE_BAD)
        return -400;
    if (got == LINE_TOO_LONG)
        return refuse_body(error, 400, too_long);
    if (got == HTTP_LINE_MORE)
        return chunk_line_is_possible(line) ? 0 : refuse_body(error, 400, form);
    uint64_t size;
    if (line.n == 0 || !parse_chunk_line(line, &size, &extensions))
        return refuse_body(error, 400, form);
    if (!extensions_are_valid(extensions))
        return refuse_body(error, 400, "a chunk's extension is malformed: leave it out");
    if (extensions.n > MAX_EXTENSIONS - body->extension_bytes)
        return refuse_body(error, 400, too_long);
    if (body->total > max_body || size > max_body - body->total)
        return refuse_too_large(error);
    buf_consume(in, line.n + 2);
    body->extension_bytes += extensions.n;
    body->left = size;
    body->state = size > 0 ? HTTP_BODY_CHUNK_DATA : HTTP_BODY_TRAILER;
    return 1;
}

static int read_chunk_data(struct http_body *body, struct buf *in, struct buf *out)
{
    if (!move_payload(body, in, out))
        return 0;
    body->state = HTTP_BODY_CHUNK_END;
    return 1;
}

static int read_chunk_end(struct http_body *body, struct buf *in, const char **error)
{
    size_t n = buf_len(in);
    if (n == 0)
        return 0;
    const uint8_t *p = buf_head(in);
    if (p[0] != '\r' || (n > 1 && p[1] != '\n'))
        return refuse_body(error, 400,
                           "no CR LF after a chunk: its size must count its data exactly");
    if (n == 1)
        return 0;
    buf_consume(in, 2);
    body->state = HTTP_BODY_CHUNK_SIZE;
    return 1;
}

static int read_trailer(struct http_body *body, struct buf *in, const char **error)
{
    struct text line, name, value;
    int got = peek_line(in, MAX_TRAILERS - body->trailer_bytes, &line, error);
    if (got == HTTP_LINE_BAD)
        return -400;
    if (got == LINE_TOO_LONG)
        return refuse_body(error, 431, "the trailer fields are too large: leave them out");
    if (got == HTTP_LINE_MORE)
        return 0;
    if (line.n > 0 && !http_field_split(line, &name, &value, error))
        return -400;
    body->trailer_bytes += line.n + 2;
    if (line.n == 0)
        body->state = HTTP_BODY_DONE;
    buf_consume(in, line.n + 2);
    return 1;
}

int http_body_read(struct http_body *body, struct buf *in, struct buf *out, size_t max_body,
                   const char **error)
{
    int rc = 1;
    while (rc > 0) {
        switch (body->state) {
        case HTTP_BODY_FIXED:
            rc = read_fixed(body, in, out, max_body, error);
            break;
        case HTTP_BODY_CHUNK_SIZE:
            rc = read_chunk_size(body, in, max_body, error);
            break;
        case HTTP_BODY_CHUNK_DATA:
            rc = read_chunk_data(body, in, out);
            break;
        case HTTP_BODY_CHUNK_END:
            rc = read_chunk_end(body, in, error);
            break;
        case HTTP_BODY_TRAILER:
            rc = read_trailer(body, in, error);
            break;
        case HTTP_BODY_DONE:
            return rc;
        }
    }
    return rc;
}

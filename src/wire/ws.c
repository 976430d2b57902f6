/* WebSocket frames; see ws.h. */
#include "ws.h"

#include <string.h>

#include "log.h"

enum { FIN = 0x80, RSV1 = 0x40, RSV = 0x70 };
enum { CONTROL_MAX = 125, PROTOCOL_ERROR = 1002, NO_CODE = 1005, BAD_TEXT = 1007, TOO_BIG = 1009 };

void ws_reader_init(struct ws_reader *r, size_t max_message, uint64_t max_skip)
{
    *r = (struct ws_reader){.max_message = max_message, .max_skip = max_skip};
}

void ws_reader_allow_deflate(struct ws_reader *r, const struct ws_deflate *agreed)
{
    r->deflate = *agreed;
}

/* Nothing more will be read. */
static void end(struct ws_reader *r)
{
    buf_free(&r->message);
    ws_inflate_free(&r->inflate);
    r->ended = true;
}

void ws_reader_free(struct ws_reader *r)
{
    end(r);
}

static enum ws_event fail(struct ws_reader *r, struct ws_data *out, int code, const char *reason)
{
    end(r);
    *out = (struct ws_data){.code = code, .reason = reason};
    return WS_FAIL;
}

/* Unmasks n bytes and turns the mask, so that it fits whatever byte of the frame comes next. */
static void unmask(uint8_t *p, size_t n, uint8_t mask[4])
{
    uint8_t key[8];
    memcpy(key, mask, 4);
    memcpy(key + 4, mask, 4);
    uint64_t wide;
    memcpy(&wide, key, sizeof(wide));
    size_t i = 0;
    for (uint64_t word; n - i >= sizeof(word); i += sizeof(word)) {
        memcpy(&word, p + i, sizeof(word));
        word ^= wide;
        memcpy(p + i, &word, sizeof(word));
    }
    for (; i < n; i++)
        p[i] ^= key[i % 4];
    memcpy(mask, key + n % 4, 4);
}

static bool is_control(unsigned opcode)
{
    return opcode >= WS_OP_CLOSE;
}

/* Whether what is set of RSV may be: RSV1 of a message's first frame says that the message is
 * compressed (RFC 7692 7.2.3). */
static bool rsv_allowed(const struct ws_reader *r, unsigned first)
{
    unsigned opcode = first & 0x0f;
    return (first & RSV) == RSV1 && r->deflate.on &&
           (opcode == WS_OP_TEXT || opcode == WS_OP_BINARY);
}

/* What is wrong with a frame, as far as its first two bytes tell. NULL: nothing. */
static const char *start_fault(const struct ws_reader *r, const uint8_t *p)
{
    unsigned opcode = p[0] & 0x0f;
    if ((p[0] & RSV) && !rsv_allowed(r, p[0]))
        return "a reserved bit is set, and no extension that was agreed on explains it";
    if ((opcode > WS_OP_BINARY && opcode < WS_OP_CLOSE) || opcode > WS_OP_PONG)
        return "the opcode is a reserved one";
    if (!(p[1] & 0x80))
        return "a client must mask its frames";
    if (is_control(opcode) && !(p[0] & FIN))
        return "a control frame must not be fragmented";
    if (is_control(opcode) && (p[1] & 0x7f) > CONTROL_MAX)
        return "a control frame must not be longer than 125 bytes";
    if (opcode == WS_OP_CONTINUATION && !r->opcode)
        return "there is no message to continue";
    if ((opcode == WS_OP_TEXT || opcode == WS_OP_BINARY) && r->opcode)
        return "a new message began before the last one had ended";
    return NULL;
}

struct header {
    size_t size; /* of the header itself */
    unsigned opcode;
    bool fin, rsv1;
    uint64_t length;
    const uint8_t *mask;
};

static uint64_t load_length(const uint8_t *p, size_t n)
{
    uint64_t length = 0;
    while (n-- > 0)
        length = length << 8 | *p++;
    return length;
}

/* Reads the header at the front of in. False: it is not all there, or *fault says what is wrong. */
static bool read_header(const struct ws_reader *r, const struct buf *in, struct header *h,
                        const char **fault)
{
    *fault = NULL;
    if (buf_len(in) < 2)
        return false;
    const uint8_t *p = buf_head(in);
    *fault = start_fault(r, p);
    unsigned small = p[1] & 0x7f;
    size_t wide = small == 127 ? 8 : small == 126 ? 2 : 0;
    h->size = 2 + wide + 4;
    if (*fault || buf_len(in) < h->size)
        return false;
    h->opcode = p[0] & 0x0f;
    h->fin = p[0] & FIN;
    h->rsv1 = p[0] & RSV1;
    h->length = wide ? load_length(p + 2, wide) : small;
    h->mask = p + 2 + wide;
    if (h->length >> 63)
        *fault = "the frame's length has its top bit set";
    else if ((wide == 2 && h->length < 126) || (wide == 8 && h->length <= UINT16_MAX))
        *fault = "the frame's length is not in its shortest form";
    return !*fault;
}

/* The codes that may stand in a close frame: the RFC's, those registered since, and the ranges for
 * libraries and applications. 1004 is reserved; 1005, 1006 and 1015 are never sent. */
static bool close_code_valid(int code)
{
    return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
           (code >= 3000 && code <= 4999);
}

static enum ws_event read_close(struct ws_reader *r, struct ws_data *out)
{
    end(r);
    out->code = NO_CODE;
    if (out->n == 0)
        return WS_CLOSE;
    if (out->n == 1)
        return fail(r, out, PROTOCOL_ERROR, "a close code has two bytes");
    out->code = (int)load_length(out->p, 2);
    out->p += 2;
    out->n -= 2;
    if (!close_code_valid(out->code))
        return fail(r, out, PROTOCOL_ERROR, "the close code is not one that may be sent");
    if (!utf8_valid(out->p, out->n))
        return fail(r, out, BAD_TEXT, "the close reason is not UTF-8");
    return WS_CLOSE;
}

/* A control frame waits in the input until it is complete: it is small, and cannot be checked
 * before. */
static enum ws_event read_control(struct ws_reader *r, struct buf *in, const struct header *h,
                                  struct ws_data *out)
{
    size_t n = (size_t)h->length;
    if (buf_len(in) < h->size + n)
        return WS_NEED_MORE;
    uint8_t *payload = buf_head(in) + h->size;
    uint8_t mask[4];
    memcpy(mask, h->mask, sizeof(mask));
    unmask(payload, n, mask);
    r->frames++;
    r->held = h->size + n;
    out->p = payload;
    out->n = n;
    if (h->opcode == WS_OP_CLOSE)
        return read_close(r, out);
    return h->opcode == WS_OP_PING ? WS_PING : WS_PONG;
}

static void begin_message(struct ws_reader *r, const struct header *h)
{
    r->opcode = (uint8_t)h->opcode;
    r->compressed = h->rsv1;
    if (r->compressed)
        r->inflate = ws_inflate_new(&r->deflate);
}

/* How long a message may be by its headers. Incompressible ones grow a little when compressed; more
 * than that is not compression but an attack on the server's time. */
static uint64_t most_bytes(const struct ws_reader *r)
{
    return r->compressed ? r->max_message + r->max_message / 4 + 64 : r->max_skip;
}

/* False: the message is too large to read on. */
static bool begin_data(struct ws_reader *r, const struct header *h)
{
    if (h->opcode != WS_OP_CONTINUATION)
        begin_message(r, h);
    uint64_t most = most_bytes(r);
    if (h->length > most || r->length > most - h->length)
        return false;
    memcpy(r->mask, h->mask, sizeof(r->mask));
    r->frames++;
    r->length += h->length;
    r->left = h->length;
    r->fin = h->fin;
    r->in_frame = true;
    if (r->length > r->max_message && !r->skip && !r->compressed) {
        r->skip = true;
        buf_free(&r->message);
    }
    return true;
}

static void forget_message(struct ws_reader *r)
{
    buf_free(&r->message);
    r->reported = false;
    r->opcode = 0;
    r->length = 0;
    r->skip = false;
    r->compressed = false;
}

/* The last byte of a message has come; out points to it if it is still in the input. */
static enum ws_event end_message(struct ws_reader *r, struct ws_data *out)
{
    bool text = r->opcode == WS_OP_TEXT;
    if (text && !utf8_complete(&r->utf8))
        return fail(r, out, BAD_TEXT, "the text ends in the middle of a UTF-8 sequence");
    r->reported = true;
    if (r->skip)
        return WS_TOO_LARGE;
    if (!out->p) {
        out->n = buf_len(&r->message);
        out->p = out->n > 0 ? buf_head(&r->message) : (const uint8_t *)"";
    }
    return text ? WS_TEXT : WS_BINARY;
}

/* The n bytes at the front of in, which are unmasked, belong to the message. */
static enum ws_event store_plain(struct ws_reader *r, struct buf *in, size_t n, struct ws_data *out)
{
    uint8_t *p = buf_head(in);
    if (r->opcode == WS_OP_TEXT && !utf8_feed(&r->utf8, p, n))
        return fail(r, out, BAD_TEXT, "the text is not UTF-8");
    if (r->left == 0 && r->fin && !r->skip && buf_len(&r->message) == 0) {
        *out = (struct ws_data){.p = p, .n = n};
        r->held = n;
    } else {
        if (!r->skip)
            buf_append(&r->message, p, n);
        buf_consume(in, n);
    }
    return WS_NEED_MORE;
}

/* As store_plain(), of a compressed message; n is 0 where its last frame is empty. */
static enum ws_event store_compressed(struct ws_reader *r, struct buf *in, size_t n,
                                      struct ws_data *out)
{
    size_t before = buf_len(&r->message);
    enum ws_inflated got = WS_INFLATE_OK;
    if (n > 0)
        got = ws_inflate(r->inflate, buf_head(in), n, r->max_message, &r->message);
    if (got == WS_INFLATE_OK && r->left == 0 && r->fin) {
        got = ws_inflate_end(r->inflate, r->max_message, &r->message);
        ws_inflate_free(&r->inflate);
    }
    buf_consume(in, n);
    /* First what is wrong in the bytes that came before what else is wrong, however they came. */
    size_t added = buf_len(&r->message) - before;
    if (r->opcode == WS_OP_TEXT && added > 0 &&
        !utf8_feed(&r->utf8, buf_head(&r->message) + before, added))
        return fail(r, out, BAD_TEXT, "the text is not UTF-8");
    if (got == WS_INFLATE_TOO_LARGE)
        return fail(r, out, TOO_BIG, "the message is too large when it is inflated");
    if (got == WS_INFLATE_BROKEN)
        return fail(r, out, BAD_TEXT, "the compressed data is broken");
    return WS_NEED_MORE;
}

/* Takes what is there of the payload of the data frame in progress. */
static enum ws_event read_payload(struct ws_reader *r, struct buf *in, struct ws_data *out)
{
    size_t n = buf_len(in) < r->left ? buf_len(in) : (size_t)r->left;
    enum ws_event event = WS_NEED_MORE;
    r->left -= n;
    if (n > 0)
        unmask(buf_head(in), n, r->mask);
    if (r->compressed)
        event = store_compressed(r, in, n, out);
    else if (n > 0)
        event = store_plain(r, in, n, out);
    if (event != WS_NEED_MORE || r->left > 0)
        return event;
    r->in_frame = false;
    return r->fin ? end_message(r, out) : WS_NEED_MORE;
}

static enum ws_event read_frame(struct ws_reader *r, struct buf *in, struct ws_data *out)
{
    if (!r->in_frame) {
        struct header h;
        const char *fault;
        if (!read_header(r, in, &h, &fault))
            return fault ? fail(r, out, PROTOCOL_ERROR, fault) : WS_NEED_MORE;
        if (is_control(h.opcode))
            return read_control(r, in, &h, out);
        if (!begin_data(r, &h))
            return fail(r, out, TOO_BIG, "the message is too large");
        buf_consume(in, h.size);
    }
    return read_payload(r, in, out);
}

enum ws_event ws_read(struct ws_reader *r, struct buf *in, struct ws_data *out)
{
    *out = (struct ws_data){0};
    if (r->ended) {
        buf_consume(in, buf_len(in));
        return WS_NEED_MORE;
    }
    buf_consume(in, r->held);
    r->held = 0;
    if (r->reported)
        forget_message(r);
    /* A step without an event has either consumed something or waits for more bytes. */
    enum ws_event event;
    size_t before;
    do {
        before = buf_len(in);
        event = read_frame(r, in, out);
    } while (event == WS_NEED_MORE && buf_len(in) < before);
    return event;
}

static void put_header(struct buf *out, unsigned first, size_t n)
{
    size_t wide = n <= 125 ? 0 : n <= UINT16_MAX ? 2 : 8;
    uint8_t *p = buf_reserve(out, 2 + wide);
    p[0] = (uint8_t)(FIN | first);
    p[1] = (uint8_t)(wide == 8 ? 127 : wide == 2 ? 126 : n);
    for (size_t i = 0; i < wide; i++)
        p[2 + i] = (uint8_t)(n >> (8 * (wide - 1 - i)));
    buf_commit(out, 2 + wide);
}

void ws_put_frame(struct buf *out, enum ws_opcode op, const void *p, size_t n)
{
    if (is_control(op) && n > CONTROL_MAX)
        bug("ws_put_frame: a control frame of %zu bytes", n);
    put_header(out, op, n);
    buf_append(out, p, n);
}

void ws_put_message(struct buf *out, enum ws_opcode op, const void *p, size_t n,
                    const struct ws_deflate *agreed)
{
    if (!agreed->on) {
        ws_put_frame(out, op, p, n);
        return;
    }
    struct buf packed = BUF_INIT;
    if (ws_deflate_pack(&packed, p, n, agreed)) {
        put_header(out, RSV1 | op, buf_len(&packed));
        buf_append(out, buf_head(&packed), buf_len(&packed));
    } else {
        ws_put_frame(out, op, p, n);
    }
    buf_free(&packed);
}

void ws_put_close(struct buf *out, int code, const char *reason)
{
    if (code == 0 || code == NO_CODE) {
        put_header(out, WS_OP_CLOSE, 0);
        return;
    }
    size_t n = reason ? strlen(reason) : 0;
    if (n > CONTROL_MAX - 2) {
        n = CONTROL_MAX - 2;
        while (n > 0 && ((unsigned char)reason[n] & 0xc0) == 0x80)
            n--;
    }
    put_header(out, WS_OP_CLOSE, 2 + n);
    buf_append(out, (uint8_t[2]){(uint8_t)(code >> 8), (uint8_t)code}, 2);
    buf_append(out, reason, n);
}

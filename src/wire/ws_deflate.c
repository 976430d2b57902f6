/* permessage-deflate on zlib; see ws_deflate.h. */
#include "ws_deflate.h"

#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include <zlib.h>

#include "log.h"

enum {
    WINDOW_BITS = 15,     /* of RFC 1951, where nothing else was agreed on */
    LEAST_BITS = 9,       /* zlib writes no smaller window, but reads one */
    LOOK_AHEAD = 262,     /* of a window, zlib cannot refer to so much */
    PACK_FROM = 128,      /* shorter messages are not worth the time */
    PIECE = 4096,         /* inflated at once */
    MAX_FINAL_BLOCKS = 64 /* in one message; an honest one has at most one */
};

/* --- the agreement (RFC 7692 7.1) --- */

enum value { NO_VALUE, BITS, BITS_OR_NONE };

static const struct {
    const char *name;
    enum value value;
} parameters[] = {
    {"server_no_context_takeover", NO_VALUE},
    {"client_no_context_takeover", NO_VALUE},
    {"server_max_window_bits", BITS},
    {"client_max_window_bits", BITS_OR_NONE},
};
enum { SERVER_BITS = 2, CLIENT_BITS = 3, PARAMETERS = 4 };

/* "8" to "15", without leading zeros; 0 for anything else. */
static uint8_t parse_bits(struct text t)
{
    static const char *const texts[] = {"8", "9", "10", "11", "12", "13", "14", "15"};
    for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
        if (http_text_is(t, texts[i]))
            return (uint8_t)(8 + i);
    return 0;
}

/* Takes one parameter of an offer; false if that can not be met. */
static bool take_parameter(struct ws_deflate *d, struct text name, struct text value,
                           unsigned *seen)
{
    unsigned i = 0;
    while (i < PARAMETERS && !http_text_is(name, parameters[i].name))
        i++;
    if (i == PARAMETERS || (*seen & 1U << i))
        return false;
    *seen |= 1U << i;
    if (!value.p)
        return parameters[i].value != BITS;
    uint8_t bits = parse_bits(value);
    if (i == SERVER_BITS)
        d->server_bits = bits;
    else if (i == CLIENT_BITS)
        d->client_bits = bits;
    return parameters[i].value != NO_VALUE && bits > 0;
}

/* One offer. *d is what it leads to, off if it is declined. False if it is malformed. */
static bool read_offer(struct text offer, struct ws_deflate *d)
{
    size_t n = http_token_len(offer);
    struct text rest = {offer.p + n, offer.n - n}, name, value;
    bool fits = http_text_is((struct text){offer.p, n}, "permessage-deflate");
    unsigned seen = 0;
    int got;
    *d = (struct ws_deflate){.on = false};
    while ((got = http_parameter_next(&rest, &name, &value)) > 0)
        fits = fits && take_parameter(d, name, value, &seen);
    if (fits)
        d->on = true;
    else
        *d = (struct ws_deflate){.on = false};
    return n > 0 && got == 0;
}

bool ws_deflate_agree(const struct http_request *r, struct ws_deflate *d)
{
    struct http_list list = {.r = r, .name = "Sec-WebSocket-Extensions"};
    struct text offer;
    *d = (struct ws_deflate){.on = false};
    while (http_list_next(&list, &offer)) {
        struct ws_deflate this;
        if (!read_offer(offer, &this))
            return false;
        if (!d->on)
            *d = this;
    }
    return true;
}

void ws_deflate_put_field(struct buf *out, const struct ws_deflate *d)
{
    char server[40] = "", client[40] = "";
    if (d->server_bits)
        snprintf(server, sizeof(server), "; %s=%d", parameters[SERVER_BITS].name, d->server_bits);
    if (d->client_bits)
        snprintf(client, sizeof(client), "; %s=%d", parameters[CLIENT_BITS].name, d->client_bits);
    http_response_fieldf(out, "Sec-WebSocket-Extensions", "permessage-deflate; %s; %s%s%s",
                         parameters[0].name, parameters[1].name, server, client);
}

/* --- from server to client --- */

/* A compressor with a window no larger than the message needs: most are short, and less memory need
 * be cleared. */
static void begin_deflate(z_stream *z, size_t n, int most)
{
    int bits = LEAST_BITS;
    while (bits < most && (size_t)1 << bits < n + LOOK_AHEAD)
        bits++;
    *z = (z_stream){0};
    if (deflateInit2(z, Z_BEST_SPEED, Z_DEFLATED, -bits, bits - 7, Z_DEFAULT_STRATEGY) != Z_OK)
        die("out of memory: compressing a message");
}

bool ws_deflate_pack(struct buf *out, const void *p, size_t n, const struct ws_deflate *d)
{
    enum { TAIL = 4 }; /* of the empty block at the end, which is not sent (RFC 7692 7.2.1) */
    int bits = d->server_bits ? d->server_bits : WINDOW_BITS;
    if (n < PACK_FROM || n > UINT_MAX / 2 || bits < LEAST_BITS)
        return false;
    z_stream z;
    begin_deflate(&z, n, bits);
    z.next_in = (Bytef *)(uintptr_t)p;
    z.avail_in = (uInt)n;
    z.next_out = buf_reserve(out, n + TAIL);
    z.avail_out = (uInt)n + TAIL;
    deflate(&z, Z_SYNC_FLUSH);
    size_t packed = n + TAIL - z.avail_out;
    deflateEnd(&z);
    if (packed >= n + TAIL)
        return false; /* there was no room for all of it */
    buf_commit(out, packed - TAIL);
    return true;
}

/* --- from client to server --- */

struct ws_inflate {
    z_stream z;
    unsigned final_blocks;
};

struct ws_inflate *ws_inflate_new(const struct ws_deflate *d)
{
    struct ws_inflate *s = xcalloc(1, sizeof(*s));
    if (inflateInit2(&s->z, -(d->client_bits ? d->client_bits : WINDOW_BITS)) != Z_OK)
        die("out of memory: inflating a message");
    return s;
}

void ws_inflate_free(struct ws_inflate **s)
{
    if (!*s)
        return;
    inflateEnd(&(*s)->z);
    free(*s);
    *s = NULL;
}

/* A final block ends zlib's stream but not the message: what follows may refer to what came before
 * (RFC 7692 7.2.3.4). */
static bool go_on_after_final(struct ws_inflate *s, const struct buf *out)
{
    size_t n = buf_len(out), most = (size_t)1 << WINDOW_BITS;
    n = n < most ? n : most;
    if (++s->final_blocks > MAX_FINAL_BLOCKS || inflateReset(&s->z) != Z_OK)
        return false;
    return n == 0 || inflateSetDictionary(&s->z, buf_head(out) + buf_len(out) - n, (uInt)n) == Z_OK;
}

enum ws_inflated ws_inflate(struct ws_inflate *s, const void *p, size_t n, size_t max,
                            struct buf *out)
{
    s->z.next_in = (Bytef *)(uintptr_t)p;
    s->z.avail_in = (uInt)n;
    do {
        /* One byte more than may come shows that more would. */
        size_t room = max + 1 - buf_len(out);
        room = room < PIECE ? room : PIECE;
        s->z.next_out = buf_reserve(out, room);
        s->z.avail_out = (uInt)room;
        int rc = inflate(&s->z, Z_SYNC_FLUSH);
        buf_commit(out, room - s->z.avail_out);
        if (rc == Z_MEM_ERROR)
            die("out of memory: inflating a message");
        if (buf_len(out) > max)
            return WS_INFLATE_TOO_LARGE;
        if (rc == Z_STREAM_END ? !go_on_after_final(s, out) : rc != Z_OK && rc != Z_BUF_ERROR)
            return WS_INFLATE_BROKEN;
    } while (s->z.avail_in > 0 || s->z.avail_out == 0);
    return WS_INFLATE_OK;
}

enum ws_inflated ws_inflate_end(struct ws_inflate *s, size_t max, struct buf *out)
{
    /* What the client left out: the rest of an empty block (RFC 7692 7.2.2). */
    static const uint8_t tail[] = {0x00, 0x00, 0xff, 0xff};
    enum { UNUSED_BITS = 63, IN_FINAL_BLOCK = 64, BETWEEN_BLOCKS = 128 };
    size_t before = buf_len(out);
    enum ws_inflated got = ws_inflate(s, tail, sizeof(tail), max, out);
    /* It adds no data and ends between blocks; otherwise the end was missing. */
    int where = s->z.data_type & (UNUSED_BITS | IN_FINAL_BLOCK | BETWEEN_BLOCKS);
    if (got == WS_INFLATE_OK && (buf_len(out) != before || where != BETWEEN_BLOCKS))
        return WS_INFLATE_BROKEN;
    return got;
}

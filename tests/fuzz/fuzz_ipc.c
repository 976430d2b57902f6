/*
 * The messages between processes: the input as what a peer of each role sends. The same messages
 * come out of it in whatever pieces it comes, each of them as its row allows, and no reading of a
 * payload, in whatever order of fields, leaves it.
 */
#include "fuzz.h"

#include "ipc_channel.h"

/* Reads the payload as fields that the draw chooses; every view must lie inside. */
static void check_fields(const struct ipc_message *m, struct draw *d)
{
    uint8_t *copy = exact_copy(m->payload, m->size);
    struct ipc_message own = {m->type, m->seq, copy, m->size};
    struct ipc_reader r = ipc_read(&own);
    size_t left = m->size;
    while (!r.bad && left > 0) {
        switch (draw_below(d, 4)) {
        case 0:
            ipc_get_u8(&r);
            break;
        case 1:
            ipc_get_u64(&r);
            break;
        case 2:
            ipc_get_cursor(&r);
            break;
        default: {
            size_t max = draw_below(d, 2) ? SIZE_MAX : draw_below(d, 300);
            struct text t = ipc_get_text(&r, max);
            REQUIRE(t.p && t.n <= max && (!r.bad || t.n == 0));
            REQUIRE(r.bad ||
                    ((const uint8_t *)t.p >= copy && (const uint8_t *)t.p + t.n <= copy + m->size));
        }
        }
        REQUIRE(r.bad || (r.p > copy && (size_t)(r.end - r.p) < left));
        left = (size_t)(r.end - r.p);
    }
    REQUIRE(ipc_read_end(&r) == (!r.bad && r.p == r.end));
    if (r.bad)
        REQUIRE(ipc_get_u32(&r) == 0 && ipc_get_text(&r, SIZE_MAX).n == 0 && !ipc_read_end(&r));
    free(copy);
}

/* Appends what a channel makes of the bytes to a record. d: in pieces. */
static void record(struct buf *trace, enum ipc_role peer, const uint8_t *data, size_t size,
                   struct draw *d)
{
    struct ipc_channel c;
    struct ipc_message m;
    int got = 0;
    ipc_channel_init(&c, -1, peer);
    for (size_t at = 0; at < size && got == 0;) {
        size_t n = d ? draw_piece(d, size - at) : size;
        buf_append(&c.in, data + at, n);
        at += n;
        while ((got = ipc_channel_next(&c, &m)) > 0) {
            const struct ipc_rule *rule = ipc_rule(m.type);
            REQUIRE(rule->sender == peer && m.size <= rule->max);
            buf_printf(trace, "%d %u %zu ", (int)m.type, m.seq, m.size);
            buf_append(trace, m.payload, m.size);
            if (d)
                check_fields(&m, d);
        }
    }
    buf_printf(trace, "%d", got);
    ipc_channel_close(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct draw d = draw_from(data, size);
    for (int role = IPC_BY_SESSION; role <= IPC_BY_AUTH; role++) {
        struct buf whole = BUF_INIT, pieces = BUF_INIT;
        record(&whole, (enum ipc_role)role, data, size, NULL);
        record(&pieces, (enum ipc_role)role, data, size, &d);
        REQUIRE(buf_len(&whole) == buf_len(&pieces));
        REQUIRE(memcmp(buf_head(&whole), buf_head(&pieces), buf_len(&whole)) == 0);
        buf_free(&whole);
        buf_free(&pieces);
    }
    return 0;
}

/* The messages between processes: round trips, and a decoder that nothing can get past. */
#include "ipc.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ipc_channel.h"
#include "test.h"

static void put_send(struct buf *out, uint32_t seq, const char *id, const char *content)
{
    size_t begin = ipc_begin(out, IPC_SEND, seq);
    ipc_put_u64(out, 42);
    ipc_put_text(out, id, strlen(id));
    ipc_put_text(out, content, strlen(content));
    ipc_end(out, begin);
}

static void fields_come_out_as_they_went_in(void)
{
    struct buf b = BUF_INIT;
    struct ipc_message m;
    put_send(&b, 7, "id-1", "hello");
    CHECK(ipc_take(buf_head(&b), buf_len(&b), IPC_BY_SESSION, &m) == (long)buf_len(&b));
    CHECK(m.type == IPC_SEND && m.seq == 7);
    struct ipc_reader r = ipc_read(&m);
    CHECK(ipc_get_u64(&r) == 42);
    struct text id = ipc_get_text(&r, IPC_MAX_ID);
    struct text content = ipc_get_text(&r, IPC_MAX_CONTENT);
    CHECK(id.n == 4 && memcmp(id.p, "id-1", 4) == 0);
    CHECK(content.n == 5 && memcmp(content.p, "hello", 5) == 0);
    CHECK(ipc_read_end(&r));
    buf_free(&b);
}

static void every_prefix_is_incomplete(void)
{
    struct buf b = BUF_INIT;
    struct ipc_message m;
    put_send(&b, 1, "id", "some content");
    for (size_t n = 0; n < buf_len(&b); n++)
        CHECK(ipc_take(buf_head(&b), n, IPC_BY_SESSION, &m) == 0);
    buf_free(&b);
}

static void only_the_named_sender_may_send(void)
{
    for (int type = IPC_NONE + 1; type < IPC_TYPE_COUNT; type++) {
        struct ipc_header h = {.size = 0, .type = (uint32_t)type, .seq = 1};
        struct ipc_message m;
        for (int role = IPC_BY_SESSION; role <= IPC_BY_AUTH; role++) {
            long got = ipc_take((uint8_t *)&h, sizeof(h), (enum ipc_role)role, &m);
            bool allowed = ipc_rule((enum ipc_type)type)->sender == (enum ipc_role)role;
            CHECK(got == (allowed ? (long)sizeof(h) : -1));
        }
    }
}

static void unknown_types_and_sizes_above_the_row_are_refused_from_the_header(void)
{
    struct ipc_message m;
    const uint32_t types[] = {IPC_NONE, IPC_TYPE_COUNT, 0x7fffffff, 0xffffffff};
    for (size_t i = 0; i < sizeof(types) / sizeof(types[0]); i++) {
        struct ipc_header h = {.type = types[i], .seq = 1};
        CHECK(ipc_take((uint8_t *)&h, sizeof(h), IPC_BY_SESSION, &m) == -1);
    }
    for (int type = IPC_NONE + 1; type < IPC_TYPE_COUNT; type++) {
        const struct ipc_rule *rule = ipc_rule((enum ipc_type)type);
        struct ipc_header h = {.size = rule->max + 1, .type = (uint32_t)type, .seq = 1};
        CHECK(ipc_take((uint8_t *)&h, sizeof(h), rule->sender, &m) == -1);
        h.size = 0xffffffff;
        CHECK(ipc_take((uint8_t *)&h, sizeof(h), rule->sender, &m) == -1);
    }
}

static void a_payload_must_end_exactly_at_its_end(void)
{
    struct buf b = BUF_INIT;
    struct ipc_message m;
    put_send(&b, 1, "id", "x");
    ipc_take(buf_head(&b), buf_len(&b), IPC_BY_SESSION, &m);
    for (size_t cut = 0; cut < m.size; cut++) {
        struct ipc_message shorter = m;
        shorter.size = cut;
        struct ipc_reader r = ipc_read(&shorter);
        ipc_get_u64(&r);
        ipc_get_text(&r, IPC_MAX_ID);
        ipc_get_text(&r, IPC_MAX_CONTENT);
        CHECK(!ipc_read_end(&r));
    }
    struct ipc_reader r = ipc_read(&m);
    ipc_get_u64(&r);
    ipc_get_text(&r, IPC_MAX_ID);
    CHECK(!ipc_read_end(&r)); /* something is left over */
    buf_free(&b);
}

static void a_text_longer_than_allowed_or_than_the_payload_reads_as_bad(void)
{
    uint8_t payload[8] = {5, 0, 0, 0, 'a', 'b', 'c', 'd'};
    struct ipc_message m = {.type = IPC_AUTH, .seq = 1, .payload = payload, .size = 8};
    struct ipc_reader r = ipc_read(&m);
    struct text t = ipc_get_text(&r, 100);
    CHECK(t.n == 0 && !ipc_read_end(&r));
    payload[0] = 4;
    r = ipc_read(&m);
    t = ipc_get_text(&r, 3);
    CHECK(t.n == 0 && r.bad);
    CHECK(ipc_get_u32(&r) == 0 && ipc_get_u8(&r) == 0 && ipc_get_u64(&r) == 0);
    memset(payload, 0xff, sizeof(payload));
    r = ipc_read(&m);
    t = ipc_get_text(&r, SIZE_MAX);
    CHECK(t.n == 0 && r.bad);
}

static void random_bytes_do_no_harm(void)
{
    srand(3);
    for (int round = 0; round < 200000; round++) {
        uint8_t data[64];
        size_t n = (size_t)rand() % sizeof(data);
        for (size_t i = 0; i < n; i++)
            data[i] = (uint8_t)(rand() % 4 ? rand() % 24 : rand());
        struct ipc_message m;
        if (ipc_take(data, n, (enum ipc_role)(rand() % 3), &m) <= 0)
            continue;
        CHECK(m.payload >= data && m.payload + m.size <= data + n);
        struct ipc_reader r = ipc_read(&m);
        struct text t = ipc_get_text(&r, sizeof(data));
        CHECK((const uint8_t *)t.p + t.n <= data + n || t.n == 0);
        ipc_get_u64(&r);
        ipc_read_end(&r);
    }
}

static void a_cursor_comes_out_as_it_went_in(void)
{
    struct buf b = BUF_INIT;
    struct ipc_message m;
    size_t begin = ipc_begin(&b, IPC_RESUMED, 3);
    ipc_put_u8(&b, 1);
    ipc_put_u64(&b, 90);
    ipc_put_cursor(&b, (struct cursor){1ULL << 40, 59999999});
    ipc_end(&b, begin);
    CHECK(ipc_take(buf_head(&b), buf_len(&b), IPC_BY_BROKER, &m) == (long)buf_len(&b));
    struct ipc_reader r = ipc_read(&m);
    CHECK(ipc_get_u8(&r) == 1 && ipc_get_u64(&r) == 90);
    struct cursor c = ipc_get_cursor(&r);
    CHECK(c.change == 1ULL << 40 && c.stamp == 59999999 && ipc_read_end(&r));
    buf_free(&b);
}

static void errors_from_outside_the_table_are_internal(void)
{
    CHECK(ipc_failure(0)->status == 500);
    CHECK(ipc_failure(IPC_ERROR_COUNT)->status == 500);
    CHECK(ipc_failure(0xffffffff)->status == 500);
    CHECK(ipc_failure(IPC_E_UNAVAILABLE)->temporary);
    CHECK_STR(ipc_failure(IPC_E_UNKNOWN_RECEIVER)->code, "unknown_receiver");
}

static void a_channel_delivers_what_arrives_in_pieces(void)
{
    int pair[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
    struct ipc_channel c;
    ipc_channel_init(&c, pair[0], IPC_BY_SESSION);
    struct buf b = BUF_INIT;
    put_send(&b, 1, "a", "first");
    put_send(&b, 2, "b", "second");
    struct ipc_message m;
    uint32_t seen = 0;
    while (buf_len(&b) > 0) {
        CHECK(write(pair[1], buf_head(&b), 1) == 1);
        buf_consume(&b, 1);
        CHECK(ipc_channel_fill(&c) == 1);
        while (ipc_channel_next(&c, &m) == 1)
            CHECK(m.seq == ++seen);
    }
    CHECK(seen == 2);
    CHECK(ipc_channel_fill(&c) == 0);
    CHECK(c.in.size <= 1024); /* at rest it holds next to no memory */
    close(pair[1]);
    CHECK(ipc_channel_fill(&c) == -1);
    ipc_channel_close(&c);
    buf_free(&b);
}

static void a_channel_refuses_what_its_peer_may_not_send(void)
{
    int pair[2];
    CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
    struct ipc_channel c;
    ipc_channel_init(&c, pair[0], IPC_BY_SESSION);
    struct ipc_header h = {.size = 1, .type = IPC_VERIFIED, .seq = 1};
    CHECK(write(pair[1], &h, sizeof(h)) == (ssize_t)sizeof(h));
    struct ipc_message m;
    CHECK(ipc_channel_fill(&c) == 1);
    CHECK(ipc_channel_next(&c, &m) == -1);
    ipc_channel_close(&c);
    close(pair[1]);
}

int main(void)
{
    RUN(fields_come_out_as_they_went_in);
    RUN(every_prefix_is_incomplete);
    RUN(only_the_named_sender_may_send);
    RUN(unknown_types_and_sizes_above_the_row_are_refused_from_the_header);
    RUN(a_payload_must_end_exactly_at_its_end);
    RUN(a_text_longer_than_allowed_or_than_the_payload_reads_as_bad);
    RUN(random_bytes_do_no_harm);
    RUN(a_cursor_comes_out_as_it_went_in);
    RUN(errors_from_outside_the_table_are_internal);
    RUN(a_channel_delivers_what_arrives_in_pieces);
    RUN(a_channel_refuses_what_its_peer_may_not_send);
    return DONE();
}

/* The byte queue: what goes in comes out, in order, and an empty one lets go of its memory. */
#include "buf.h"

#include <stdlib.h>
#include <unistd.h>

#include "test.h"

static void appended_bytes_come_out_in_order(void)
{
    struct buf b = BUF_INIT;
    unsigned char next_in = 0, next_out = 0;
    for (int round = 0; round < 1000; round++) {
        for (int i = 0; i < round % 17; i++, next_in++)
            buf_append(&b, &next_in, 1);
        for (int i = 0; i < round % 13 && buf_len(&b) > 0; i++, next_out++) {
            CHECK(*buf_head(&b) == next_out);
            buf_consume(&b, 1);
        }
    }
    while (buf_len(&b) > 0) {
        CHECK(*buf_head(&b) == next_out++);
        buf_consume(&b, 1);
    }
    CHECK(next_in == next_out);
    buf_free(&b);
}

static void an_empty_buffer_gives_large_memory_back(void)
{
    struct buf b = BUF_INIT;
    memset(buf_reserve(&b, 100000), 'x', 100000);
    buf_commit(&b, 100000);
    buf_consume(&b, 99999);
    CHECK(buf_len(&b) == 1 && *buf_head(&b) == 'x');
    buf_consume(&b, 1);
    CHECK(b.data == NULL && b.size == 0);
}

static void printf_and_truncate(void)
{
    struct buf b = BUF_INIT;
    buf_puts(&b, "a");
    buf_printf(&b, "%d-%s", 7, "x");
    CHECK(buf_len(&b) == 4 && memcmp(buf_head(&b), "a7-x", 4) == 0);
    buf_truncate(&b, 2);
    buf_append(&b, "z", 1);
    CHECK(buf_len(&b) == 3 && memcmp(buf_head(&b), "a7z", 3) == 0);
    buf_wipe(&b);
    CHECK(buf_len(&b) == 0);
}

static void reads_and_writes_a_pipe(void)
{
    int p[2];
    CHECK(pipe(p) == 0);
    struct buf out = BUF_INIT, in = BUF_INIT;
    buf_puts(&out, "hello");
    CHECK(buf_write(&out, p[1]) == 5);
    CHECK(buf_len(&out) == 0);
    CHECK(buf_read(&in, p[0], 3) == 3);
    CHECK(buf_read(&in, p[0], 100) == 2);
    CHECK(buf_len(&in) == 5 && memcmp(buf_head(&in), "hello", 5) == 0);
    close(p[1]);
    CHECK(buf_read(&in, p[0], 100) == 0);
    close(p[0]);
    buf_free(&in);
    buf_free(&out);
}

int main(void)
{
    RUN(appended_bytes_come_out_in_order);
    RUN(an_empty_buffer_gives_large_memory_back);
    RUN(printf_and_truncate);
    RUN(reads_and_writes_a_pipe);
    return DONE();
}

/* A growable byte queue; see buf.h. */
#include "buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"

/* An empty buffer larger than this is handed back to the allocator. */
enum { KEEP = 1024 };

void buf_free(struct buf *b)
{
    free(b->data);
    *b = (struct buf)BUF_INIT;
}

void buf_wipe(struct buf *b)
{
    if (b->data)
        explicit_bzero(b->data, b->size);
    buf_free(b);
}

uint8_t *buf_reserve(struct buf *b, size_t n)
{
    if (b->start > 0 && b->size - b->end < n) {
        memmove(b->data, b->data + b->start, buf_len(b));
        b->end -= b->start;
        b->start = 0;
    }
    if (b->size - b->end < n) {
        size_t size = b->size ? b->size : 256;
        while (size - b->end < n) {
            if (size > SIZE_MAX / 2)
                die("out of memory: a buffer of more than %zu bytes", size);
            size *= 2;
        }
        b->data = xrealloc(b->data, size);
        b->size = size;
    }
    return b->data + b->end;
}

void buf_commit(struct buf *b, size_t n)
{
    if (n > b->size - b->end)
        bug("buf_commit past the end");
    b->end += n;
}

void buf_append(struct buf *b, const void *p, size_t n)
{
    if (n == 0)
        return;
    memcpy(buf_reserve(b, n), p, n);
    b->end += n;
}

struct text buf_text(const struct buf *b)
{
    return buf_len(b) > 0 ? (struct text){(const char *)buf_head(b), buf_len(b)} : (struct text){0};
}

void buf_puts(struct buf *b, const char *s)
{
    buf_append(b, s, strlen(s));
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    va_list again;
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        bug("buf_printf: bad format");
    char *p = (char *)buf_reserve(b, (size_t)n + 1);
    vsnprintf(p, (size_t)n + 1, fmt, again);
    va_end(again);
    b->end += (size_t)n;
}

void buf_consume(struct buf *b, size_t n)
{
    if (n > buf_len(b))
        bug("buf_consume past the end");
    b->start += n;
    if (b->start == b->end) {
        b->start = b->end = 0;
        if (b->size > KEEP)
            buf_free(b);
    }
}

void buf_truncate(struct buf *b, size_t n)
{
    if (n < buf_len(b))
        b->end = b->start + n;
}

/* Reads through one scratch area, so that a buffer grows only by what came; most reads are short.
 * Wipes it, since passwords pass through. */
long buf_read(struct buf *b, int fd, size_t max)
{
    static uint8_t scratch[16 * 1024];
    ssize_t n = read(fd, scratch, max < sizeof(scratch) ? max : sizeof(scratch));
    if (n > 0) {
        buf_append(b, scratch, (size_t)n);
        explicit_bzero(scratch, (size_t)n);
    }
    return n;
}

long buf_write(struct buf *b, int fd)
{
    ssize_t n = write(fd, buf_head(b), buf_len(b));
    if (n > 0)
        buf_consume(b, (size_t)n);
    return n;
}

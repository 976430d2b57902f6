/*
 * A growable byte queue: bytes are appended at the end and consumed from the front.
 *
 * Used for everything read from or written to a socket. An empty buffer holds almost no memory, so
 * ten thousand idle ones cost nothing.
 */
#ifndef BUF_H
#define BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "text.h"

struct buf {
    uint8_t *data; /* owned; NULL while nothing was ever stored */
    size_t start;  /* first unread byte */
    size_t end;    /* one past the last byte */
    size_t size;   /* bytes allocated */
};

/* A buffer that is all zero bytes is valid and empty. */
#define BUF_INIT                                                                                   \
    {                                                                                              \
        0                                                                                          \
    }

/* Frees what the buffer holds and leaves it empty and usable. */
void buf_free(struct buf *b);

/* As buf_free(), but overwrites the memory first: for passwords, tokens and keys. */
void buf_wipe(struct buf *b);

/* The unread bytes: their number and their address (valid until the next change). */
static inline size_t buf_len(const struct buf *b)
{
    return b->end - b->start;
}

static inline uint8_t *buf_head(const struct buf *b)
{
    return b->start ? b->data + b->start : b->data; /* no sum with NULL */
}

/* Makes room for n more bytes at the end and returns where they go. Exits on lack of memory. */
uint8_t *buf_reserve(struct buf *b, size_t n);

/* Counts n bytes, written where buf_reserve() said, as stored. */
void buf_commit(struct buf *b, size_t n);

/* Appends a copy of n bytes. */
void buf_append(struct buf *b, const void *p, size_t n);

/* What is unread as text, until the buffer changes; NULL if it is empty. */
struct text buf_text(const struct buf *b);

/* Appends a NUL-terminated string, without its NUL. */
void buf_puts(struct buf *b, const char *s);

/* Appends formatted text, without a NUL. */
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Drops n bytes (at most buf_len) from the front. An empty buffer gives large memory back. */
void buf_consume(struct buf *b, size_t n);

/* Drops what came after the first n unread bytes. */
void buf_truncate(struct buf *b, size_t n);

/* Reads once from fd, at most max bytes and never more than 16 kB. Returns the count, 0 at end of
 * file, -1 with errno. */
long buf_read(struct buf *b, int fd, size_t max);

/* Writes once to fd what is unread and consumes what was taken. Returns the count or -1 with errno.
 * On a socket a vanished peer is EPIPE, never a signal, as long as SIGPIPE is ignored. */
long buf_write(struct buf *b, int fd);

#endif

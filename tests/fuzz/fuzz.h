/*
 * What the fuzzers share. A fuzzer is LLVMFuzzerTestOneInput(): it hands the input to the code
 * under test and REQUIREs what must hold for every input. Inputs are plain (a request, a frame, a
 * file), so that seeds can be written by hand; where the input is to be cut is drawn from it.
 */
#ifndef FUZZ_H
#define FUZZ_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!(condition)) {                                                                        \
            fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #condition);         \
            abort();                                                                               \
        }                                                                                          \
    } while (0)

/* Numbers that look random and depend on the input alone. */
struct draw {
    uint64_t state;
};

static inline struct draw draw_from(const uint8_t *data, size_t size)
{
    struct draw d = {0xcbf29ce484222325u};
    for (size_t i = 0; i < size; i++)
        d.state = (d.state ^ data[i]) * 0x100000001b3u;
    return d;
}

/* A number below limit; 0 if limit is 0. */
static inline size_t draw_below(struct draw *d, size_t limit)
{
    d->state = d->state * 6364136223846793005u + 1442695040888963407u;
    return limit ? (size_t)(d->state >> 33) % limit : 0;
}

/* The length of the next piece of what is left: often a few bytes, sometimes all. */
static inline size_t draw_piece(struct draw *d, size_t left)
{
    size_t most = (size_t[]){1, 4, 64, left}[draw_below(d, 4)];
    size_t n = 1 + draw_below(d, most);
    return n < left ? n : left;
}

/* A copy that ends where its memory ends, for free(3). */
static inline uint8_t *exact_copy(const void *p, size_t n)
{
    uint8_t *copy = malloc(n ? n : 1);
    REQUIRE(copy);
    if (n)
        memcpy(copy, p, n);
    return copy;
}

#endif

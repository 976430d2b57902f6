/* Randomness from the kernel, getrandom(2). Dies on failure, which Linux rules out once booted. */
#ifndef RANDOM_H
#define RANDOM_H

#include <stddef.h>
#include <stdint.h>

uint64_t random_u64(void);

/* Writes 2 * bytes hexadecimal digits of as many random bytes (at most 32), and no NUL. */
void random_hex(char *out, size_t bytes);

#endif

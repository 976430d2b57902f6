/* Randomness; see random.h. */
#include "random.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#include "log.h"

static void fill(void *p, size_t n)
{
    if (getrandom(p, n, 0) != (ssize_t)n)
        die("getrandom: %s", strerror(errno));
}

uint64_t random_u64(void)
{
    uint64_t v;
    fill(&v, sizeof(v));
    return v;
}

void random_hex(char *out, size_t bytes)
{
    static const char digits[] = "0123456789abcdef";
    unsigned char random[32];
    if (bytes > sizeof(random))
        bug("random_hex of %zu bytes", bytes);
    fill(random, bytes);
    for (size_t i = 0; i < bytes; i++) {
        out[2 * i] = digits[random[i] >> 4];
        out[2 * i + 1] = digits[random[i] & 15];
    }
}

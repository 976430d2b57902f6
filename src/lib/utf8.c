/* The UTF-8 validator; see utf8.h. */
#include "utf8.h"

#include <string.h>

/* The number of ASCII bytes at the front. Most text is ASCII: eight at a time. */
static size_t ascii_run(const uint8_t *p, size_t n)
{
    size_t i = 0;
    for (uint64_t word; n - i >= sizeof(word); i += sizeof(word)) {
        memcpy(&word, p + i, sizeof(word));
        if (word & UINT64_C(0x8080808080808080))
            break;
    }
    while (i < n && p[i] < 0x80)
        i++;
    return i;
}

static void expect(struct utf8 *u, uint8_t need, uint8_t low, uint8_t high)
{
    u->need = need;
    u->low = low;
    u->high = high;
}

/* Takes the first byte of a sequence. The second byte's bounds are what keeps overlong forms
 * (E0, F0), surrogates (ED) and code points past the last one (F4) out. */
static bool take_lead(struct utf8 *u, uint8_t c)
{
    if (c >= 0xc2 && c <= 0xdf)
        expect(u, 1, 0x80, 0xbf);
    else if (c >= 0xe0 && c <= 0xef)
        expect(u, 2, c == 0xe0 ? 0xa0 : 0x80, c == 0xed ? 0x9f : 0xbf);
    else if (c >= 0xf0 && c <= 0xf4)
        expect(u, 3, c == 0xf0 ? 0x90 : 0x80, c == 0xf4 ? 0x8f : 0xbf);
    else
        return false;
    return true;
}

static bool take_continuation(struct utf8 *u, uint8_t c)
{
    if (c < u->low || c > u->high)
        return false;
    expect(u, (uint8_t)(u->need - 1), 0x80, 0xbf);
    return true;
}

bool utf8_feed(struct utf8 *u, const uint8_t *p, size_t n)
{
    size_t i = 0;
    while (i < n && !u->bad) {
        if (u->need > 0) {
            u->bad = !take_continuation(u, p[i++]);
            continue;
        }
        i += ascii_run(p + i, n - i);
        if (i < n)
            u->bad = !take_lead(u, p[i++]);
    }
    return !u->bad;
}

bool utf8_complete(const struct utf8 *u)
{
    return !u->bad && u->need == 0;
}

bool utf8_valid(const uint8_t *p, size_t n)
{
    struct utf8 u = {0};
    return utf8_feed(&u, p, n) && utf8_complete(&u);
}

size_t utf8_count(const char *s, size_t n)
{
    size_t count = 0;
    for (size_t i = 0; i < n; i++)
        count += ((unsigned char)s[i] & 0xc0) != 0x80;
    return count;
}

uint32_t utf8_decode(const char *text, size_t *size)
{
    const uint8_t *s = (const uint8_t *)text;
    *size = s[0] < 0x80 ? 1 : s[0] < 0xe0 ? 2 : s[0] < 0xf0 ? 3 : 4;
    uint32_t c = *size == 1 ? s[0] : s[0] & (0x7fu >> *size);
    for (size_t i = 1; i < *size; i++)
        c = c << 6 | (s[i] & 0x3fu);
    return c;
}

bool utf8_disrupts(uint32_t c)
{
    return c < 0x20 || (c >= 0x7f && c < 0xa0) || (c >= 0x2028 && c <= 0x202e) ||
           (c >= 0x2066 && c <= 0x2069);
}

bool utf8_inline(const char *s, size_t n)
{
    for (size_t i = 0, size; i < n; i += size)
        if (utf8_disrupts(utf8_decode(s + i, &size)))
            return false;
    return true;
}

/* UTF-8: exactly what RFC 3629 allows, however the bytes are cut, and no byte later than needed. */
#include "utf8.h"

#include <stdlib.h>

#include "test.h"

/* A second opinion that shares nothing with the code under test: it decodes, then judges. */
static bool reference(const uint8_t *p, size_t n)
{
    static const uint32_t smallest[] = {0, 0, 0x80, 0x800, 0x10000};
    for (size_t i = 0; i < n;) {
        size_t size = p[i] < 0x80             ? 1
                      : (p[i] & 0xe0) == 0xc0 ? 2
                      : (p[i] & 0xf0) == 0xe0 ? 3
                      : (p[i] & 0xf8) == 0xf0 ? 4
                                              : 0;
        if (size == 0 || size > n - i)
            return false;
        uint32_t c = size == 1 ? p[i] : p[i] & (0x7fu >> size);
        for (size_t k = 1; k < size; k++) {
            if ((p[i + k] & 0xc0) != 0x80)
                return false;
            c = c << 6 | (p[i + k] & 0x3fu);
        }
        if (c < smallest[size] || c > 0x10ffff || (c >= 0xd800 && c <= 0xdfff))
            return false;
        i += size;
    }
    return true;
}

static bool one_by_one(const uint8_t *p, size_t n)
{
    struct utf8 u = {0};
    for (size_t i = 0; i < n; i++)
        utf8_feed(&u, p + i, 1);
    return utf8_complete(&u);
}

static void agree(const uint8_t *p, size_t n)
{
    bool want = reference(p, n);
    if (utf8_valid(p, n) != want || one_by_one(p, n) != want) {
        printf("# %02x %02x %02x %02x (%zu)\n", p[0], p[1], p[2], p[3], n);
        CHECK(utf8_valid(p, n) == want && one_by_one(p, n) == want);
    }
}

static void every_sequence_of_up_to_three_bytes_is_judged_right(void)
{
    uint8_t s[4] = {0};
    for (unsigned a = 0; a < 256; a++) {
        s[0] = (uint8_t)a;
        agree(s, 1);
        for (unsigned b = 0; b < 256; b++) {
            s[1] = (uint8_t)b;
            agree(s, 2);
            for (unsigned c = 0; c < 256 && a >= 0xc0; c++) {
                s[2] = (uint8_t)c;
                agree(s, 3);
            }
        }
    }
}

static void four_byte_sequences_are_judged_right_at_every_boundary(void)
{
    static const uint8_t edge[] = {0x00, 0x7f, 0x80, 0x8f, 0x90, 0x9f, 0xa0, 0xbf, 0xc0, 0xff};
    for (unsigned a = 0xe0; a < 256; a++)
        for (unsigned b = 0; b < 256; b++)
            for (size_t c = 0; c < sizeof(edge); c++)
                for (size_t d = 0; d < sizeof(edge); d++)
                    agree((uint8_t[4]){(uint8_t)a, (uint8_t)b, edge[c], edge[d]}, 4);
}

static void a_bad_byte_is_reported_when_it_comes_and_not_later(void)
{
    static const struct {
        const char *text;
        size_t bad; /* index of the first byte that must be refused */
    } cases[] = {
        {"\x80", 0},          {"\xc0", 0},         {"\xc1", 0},
        {"\xf5", 0},          {"\xff", 0},         {"abc\xfe", 3},
        {"\xe0\x9f", 1},      {"\xed\xa0", 1},     {"\xf0\x8f", 1},
        {"\xf4\x90", 1},      {"\xc3z", 1},        {"\xe2\x82z", 2},
        {"\xf0\x9f\x98z", 3}, {"12345678\x80", 8}, {"\xe2\x82\xac\x80", 3},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct utf8 u = {0};
        const uint8_t *p = (const uint8_t *)cases[i].text;
        CHECK(utf8_feed(&u, p, cases[i].bad));
        CHECK(!utf8_feed(&u, p + cases[i].bad, 1));
        CHECK(!utf8_feed(&u, (const uint8_t *)"a", 1));
        CHECK(!utf8_complete(&u));
    }
}

static void half_a_sequence_is_not_complete_and_not_yet_wrong(void)
{
    const uint8_t *euro = (const uint8_t *)"\xe2\x82\xac";
    struct utf8 u = {0};
    CHECK(utf8_complete(&u));
    CHECK(utf8_feed(&u, euro, 2) && !utf8_complete(&u));
    CHECK(utf8_feed(&u, euro, 0) && !utf8_complete(&u));
    CHECK(utf8_feed(&u, euro + 2, 1) && utf8_complete(&u));
    CHECK(utf8_valid(NULL, 0));
}

static void random_texts_are_judged_alike_whole_and_in_pieces(void)
{
    static const char *parts[] = {"a",
                                  "ascii, and more than eight",
                                  "\xc3\xa9",
                                  "\xe2\x82\xac",
                                  "\xf0\x9f\x98\x80",
                                  "",
                                  "12345678",
                                  "\xed\x9f\xbf"};
    srand(1);
    for (int round = 0; round < 3000; round++) {
        uint8_t text[512];
        size_t n = 0;
        for (int i = rand() % 12; i >= 0; i--) {
            const char *part = parts[rand() % 8];
            memcpy(text + n, part, strlen(part));
            n += strlen(part);
        }
        if (round % 2 && n > 0)
            text[(size_t)rand() % n] = (uint8_t)rand();
        bool want = reference(text, n);
        CHECK(utf8_valid(text, n) == want);
        struct utf8 u = {0};
        for (size_t i = 0, step; i < n; i += step) {
            step = 1 + (size_t)rand() % 20;
            step = step < n - i ? step : n - i;
            utf8_feed(&u, text + i, step);
        }
        CHECK(utf8_complete(&u) == want);
    }
}

static void counts_code_points_and_not_bytes(void)
{
    CHECK(utf8_count("", 0) == 0);
    CHECK(utf8_count("abc", 3) == 3);
    CHECK(utf8_count("a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80", 10) == 4);
}

static void text_that_reaches_beyond_itself_is_told(void)
{
    static const char *const good[] = {"",
                                       " ",
                                       "Ann B. ~",
                                       "\xc2\xa0",
                                       "\xe2\x80\xa7",
                                       "\xe2\x80\xaf",
                                       "\xe2\x81\xa5",
                                       "\xe2\x81\xaa",
                                       "\xe2\x80\x8d",
                                       "\xd7\xa9\xd7\x9c",
                                       "\xf0\x9f\x98\x80",
                                       "\xf4\x8f\xbf\xbf",
                                       "\xc3\xbf",
                                       "\xdf\xbf"};
    static const char *const bad[] = {"\x01",
                                      "a\n",
                                      "\x1f",
                                      "\x7f",
                                      "a\xc2\x80",
                                      "\xc2\x85",
                                      "\xc2\x9f",
                                      "\xe2\x80\xa8",
                                      "\xe2\x80\xa9",
                                      "x\xe2\x80\xaa",
                                      "\xe2\x80\xae",
                                      "\xe2\x81\xa6",
                                      "\xf0\x9f\x98\x80\xe2\x81\xa9"};
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        CHECK(utf8_inline(good[i], strlen(good[i])));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        CHECK(!utf8_inline(bad[i], strlen(bad[i])));
    CHECK(!utf8_inline("a\0b", 3));
}

int main(void)
{
    RUN(every_sequence_of_up_to_three_bytes_is_judged_right);
    RUN(four_byte_sequences_are_judged_right_at_every_boundary);
    RUN(a_bad_byte_is_reported_when_it_comes_and_not_later);
    RUN(half_a_sequence_is_not_complete_and_not_yet_wrong);
    RUN(random_texts_are_judged_alike_whole_and_in_pieces);
    RUN(counts_code_points_and_not_bytes);
    RUN(text_that_reaches_beyond_itself_is_told);
    return DONE();
}

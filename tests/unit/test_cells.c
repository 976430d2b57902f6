/* Texts in the columns of a terminal (src/client/window/cells.h). */
#include <locale.h>
#include <stdlib.h>

#include "cells.h"
#include "test.h"

static struct text text(const char *s)
{
    return (struct text){s, strlen(s)};
}

static void is_shown(const char *given, const char *wanted, int width)
{
    struct buf out = BUF_INIT;
    cells_put(&out, text(given), true);
    int got = cells_width(buf_text(&out));
    buf_append(&out, "", 1);
    CHECK_STR((const char *)buf_head(&out), wanted);
    CHECK(got == width);
    buf_free(&out);
}

static void harmless_text_stays_as_it_is(void)
{
    is_shown("", "", 0);
    is_shown("Hello, World!", "Hello, World!", 13);
    is_shown("\u00e4\u00f6\u00fc \u03bb \u05d0", "\u00e4\u00f6\u00fc \u03bb \u05d0", 7);
    is_shown("\u6f22\u5b57", "\u6f22\u5b57", 4);
    is_shown("e\u0301", "e\u0301", 1);
    is_shown("\u1112\u1161\u11ab", "\u1112\u1161\u11ab", 2);
}

static void what_disrupts_is_escaped(void)
{
    is_shown("\033[2J", "\\x1b[2J", 7);
    is_shown("a\rb", "a\\x0db", 6);
    is_shown("\xc2\x9b"
             "2J",
             "\\x9b2J", 6);
    is_shown("\u202eabc\u2066", "\\u202eabc\\u2066", 15);
    is_shown("a\tb", "a b", 3);
    is_shown("a\nb", "a\nb", 2);
    is_shown("\xff\xc3", "\\xff\\xc3", 8);
    is_shown("\u0378", "\\u0378", 6);
    /* As it is where the rest is valid. */
    is_shown("\u200be\u0301\u0302\u0303\u0304\n\xe2\x82", "e\u0301\u0302\u0303\n\\xe2\\x82", 9);
}

static void what_joins_is_left_out_and_a_flag_is_its_letters(void)
{
    is_shown("\U0001f468\u200d\U0001f469", "\U0001f468\U0001f469", 4);
    is_shown("\u2764\ufe0f", "\u2764", 1);
    is_shown("\U0001f44d\U0001f3fd!", "\U0001f44d!", 3);
    is_shown("\U0001f3fd", "\U0001f3fd", 2);
    is_shown("\U0001f1e9\U0001f1ea", "DE", 2);
    is_shown("a\u200fb\u00adc", "abc", 3);
}

static void a_mark_has_a_base_and_few_beside_it(void)
{
    is_shown("\u0301x", " \u0301x", 2);
    is_shown("a\n\u0301", "a\n \u0301", 2);
    is_shown("e\u0301\u0302\u0303\u0304\u0305x", "e\u0301\u0302\u0303x", 2);
}

static void breaks_into(const char *given, int width, const char *wanted)
{
    struct buf out = BUF_INIT;
    struct text rest = text(given);
    while (rest.n > 0) {
        struct text line = cells_line(&rest, width);
        CHECK(cells_width(line) <= width || width < 2);
        buf_append(&out, line.p, line.n);
        buf_puts(&out, "|");
    }
    buf_append(&out, "", 1);
    CHECK_STR((const char *)buf_head(&out), wanted);
    buf_free(&out);
}

static void lines_break_at_blanks_and_never_within_a_character(void)
{
    breaks_into("one two three", 7, "one two|three|");
    breaks_into("one two three", 6, "one|two|three|");
    breaks_into("abcdefgh", 3, "abc|def|gh|");
    breaks_into("\u6f22\u5b57\u6f22", 3, "\u6f22|\u5b57|\u6f22|");
    breaks_into("\u6f22\u5b57\u6f22", 4, "\u6f22\u5b57|\u6f22|");
    breaks_into("\u6f22", 1, "\u6f22|");
    breaks_into("abe\u0301d", 3, "abe\u0301|d|");
    breaks_into("one\n\ntwo\n", 10, "one||two|");
    breaks_into("abc\nd", 3, "abc|d|");
    breaks_into("abc d", 3, "abc|d|");
}

/* Both ways over the same characters. */
static void has_characters(const char *given, const size_t *ends, size_t count)
{
    struct text t = text(given);
    size_t at = 0;
    for (size_t i = 0; i < count; i++) {
        CHECK(cells_before(t, ends[i]) == at);
        at = cells_behind(t, at);
        CHECK(at == ends[i]);
    }
    CHECK(at == t.n && cells_behind(t, at) == at && cells_before(t, 0) == 0);
}

#define CHARACTERS(given, ...)                                                                     \
    has_characters(given, (const size_t[]){__VA_ARGS__},                                           \
                   sizeof((const size_t[]){__VA_ARGS__}) / sizeof(size_t))

static void a_character_is_what_people_take_for_one(void)
{
    CHARACTERS("ab", 1, 2);
    CHARACTERS("ae\u0301b", 1, 4, 5);
    CHARACTERS("\u6f22\u5b57", 3, 6);
    CHARACTERS("\U0001f468\u200d\U0001f469\u200d\U0001f467x", 18, 19);
    CHARACTERS("\U0001f44d\U0001f3fd\U0001f44d", 8, 12);
    CHARACTERS("\u2764\ufe0f!", 6, 7);
    CHARACTERS("\U0001f1e9\U0001f1ea\U0001f1eb\U0001f1f7", 8, 16);
    CHARACTERS("a\n\tb", 1, 2, 3, 4);
}

/* Pieces of all kinds, in any order: width adds up, and each line is as wide as is allowed. */
static void random_texts_keep_their_width(void)
{
    static const char *const pieces[] = {"a",          " ",      "\u6f22", "e\u0301",
                                         "\U0001f44d", "\u200d", "\u0302", "\U0001f1e9",
                                         "\033",       "\u202e", "\u00e4"};
    unsigned seed = 4711;
    printf("# seed %u\n", seed);
    srand(seed);
    for (int n = 0; n < 2000; n++) {
        struct buf raw = BUF_INIT, out = BUF_INIT;
        for (int i = rand() % 40; i >= 0; i--)
            buf_puts(&raw, pieces[(size_t)rand() % (sizeof(pieces) / sizeof(pieces[0]))]);
        cells_put(&out, buf_text(&raw), false);
        struct text rest = buf_text(&out);
        int width = 2 + rand() % 20;
        while (rest.n > 0)
            CHECK(cells_width(cells_line(&rest, width)) <= width);
        for (size_t at = 0; at < buf_len(&raw);) {
            size_t end = cells_behind(buf_text(&raw), at);
            CHECK(end > at && cells_before(buf_text(&raw), end) == at);
            at = end;
        }
        buf_free(&raw);
        buf_free(&out);
    }
}

int main(void)
{
    setlocale(LC_CTYPE, "C.UTF-8");
    RUN(harmless_text_stays_as_it_is);
    RUN(what_disrupts_is_escaped);
    RUN(what_joins_is_left_out_and_a_flag_is_its_letters);
    RUN(a_mark_has_a_base_and_few_beside_it);
    RUN(lines_break_at_blanks_and_never_within_a_character);
    RUN(a_character_is_what_people_take_for_one);
    RUN(random_texts_keep_their_width);
    return DONE();
}

/* Cursors as text: what goes out comes in again, and nothing else does. */
#include "cursor.h"

#include <stdint.h>
#include <stdlib.h>

#include "test.h"

#define TAG "0123456789ab"

static bool parse(const char *text, struct cursor *c)
{
    /* A copy of exactly this size, so that reading past its end is seen. */
    size_t n = strlen(text);
    char *copy = malloc(n ? n : 1);
    memcpy(copy, text, n);
    bool good = cursor_parse(copy, n, TAG, c);
    free(copy);
    return good;
}

static void text_and_back(void)
{
    static const struct cursor cursors[] = {
        {0, 0}, {1, 59999999}, {91, 7}, {INT64_MAX / 10, INT32_MAX}};
    for (size_t i = 0; i < sizeof(cursors) / sizeof(cursors[0]); i++) {
        char text[CURSOR_TEXT];
        struct cursor c = {~0U, ~0U};
        size_t n = cursor_format(text, TAG, cursors[i]);
        CHECK(n == strlen(text) && n < CURSOR_TEXT);
        CHECK(parse(text, &c) && c.change == cursors[i].change && c.stamp == cursors[i].stamp);
    }
    char text[CURSOR_TEXT];
    cursor_format(text, TAG, (struct cursor){91, 7});
    CHECK_STR(text, TAG "-91-7");
}

static void what_is_no_cursor(void)
{
    static const char *const bad[] = {"",
                                      "-",
                                      "91",
                                      TAG,
                                      TAG "-",
                                      TAG "-91",
                                      TAG "-91-",
                                      TAG "-91-7-",
                                      TAG "-91-7 ",
                                      TAG "-91-7-7",
                                      TAG "--7",
                                      TAG "-+91-7",
                                      TAG "--91-7",
                                      TAG "-091-7",
                                      TAG "-91-07",
                                      TAG "-91-0x7",
                                      TAG "91-7",
                                      TAG "-922337203685477581-7",
                                      TAG "-99999999999999999999999-7",
                                      TAG "-91-2147483648",
                                      TAG "-91-99999999999999999999999",
                                      "0123456789ac-91-7",
                                      "0123456789a-91-7"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        struct cursor c;
        CHECK(!parse(bad[i], &c));
        if (parse(bad[i], &c))
            printf("# %s\n", bad[i]);
    }
}

static void no_database_known(void)
{
    struct cursor c;
    CHECK(!cursor_parse("-91-7", 5, "", &c));
}

int main(void)
{
    RUN(text_and_back);
    RUN(what_is_no_cursor);
    RUN(no_database_known);
    return DONE();
}

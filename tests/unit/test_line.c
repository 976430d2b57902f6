/* The line that is typed (src/client/window/line.h). */
#include <locale.h>
#include <stdlib.h>

#include "cells.h"
#include "line.h"
#include "test.h"
#include "utf8.h"

static struct line line;

static void type(const char *s)
{
    CHECK(line_insert(&line, (struct text){s, strlen(s)}));
}

/* The text, with | where the cursor is. */
static void is_now(const char *wanted)
{
    struct buf out = BUF_INIT;
    struct text t = line_text(&line);
    buf_append(&out, t.p, line.at);
    buf_puts(&out, "|");
    buf_append(&out, t.n ? t.p + line.at : NULL, t.n - line.at);
    buf_append(&out, "", 1);
    CHECK_STR((const char *)buf_head(&out), wanted);
    buf_free(&out);
}

static void begin(const char *s)
{
    line_free(&line);
    type(s);
}

static void typing_puts_text_where_the_cursor_is(void)
{
    line_free(&line);
    is_now("|");
    type("ac");
    line_left(&line);
    type("b");
    is_now("ab|c");
    line_home(&line);
    type("x");
    is_now("x|abc");
    line_end(&line);
    type("y");
    is_now("xabcy|");
}

static void the_cursor_moves_by_characters(void)
{
    begin("e\u0301\u6f22\U0001f468\u200d\U0001f469");
    line_left(&line);
    is_now("e\u0301\u6f22|\U0001f468\u200d\U0001f469");
    line_left(&line);
    line_left(&line);
    is_now("|e\u0301\u6f22\U0001f468\u200d\U0001f469");
    line_left(&line);
    line_right(&line);
    is_now("e\u0301|\u6f22\U0001f468\u200d\U0001f469");
}

static void a_mark_that_is_typed_belongs_to_what_is_before_it(void)
{
    begin("ab");
    line_left(&line);
    type("\u0301");
    is_now("a\u0301|b");
    line_erase(&line);
    is_now("|b");
}

static void what_is_removed(void)
{
    begin("one two\u0301");
    line_erase(&line);
    is_now("one tw|");
    line_erase_word(&line);
    is_now("one |");
    line_erase_word(&line);
    line_erase_word(&line);
    line_erase(&line);
    is_now("|");
    begin("one two three");
    for (int i = 0; i < 6; i++)
        line_left(&line);
    line_erase_before(&line);
    is_now("| three");
    line_delete(&line);
    is_now("|three");
    line_right(&line);
    line_delete_behind(&line);
    is_now("t|");
    line_delete(&line);
    is_now("t|");
}

static void too_much_is_refused(void)
{
    struct buf most = BUF_INIT;
    memset(buf_reserve(&most, LINE_LONGEST), 'x', LINE_LONGEST);
    buf_commit(&most, LINE_LONGEST);
    line_free(&line);
    CHECK(line_insert(&line, buf_text(&most)));
    CHECK(!line_insert(&line, (struct text){"x", 1}));
    CHECK(line_text(&line).n == LINE_LONGEST && line.at == LINE_LONGEST);
    buf_free(&most);
}

static void shows(int width, const char *wanted, int column)
{
    struct buf out = BUF_INIT;
    int got = line_show(&line, width, &out);
    buf_append(&out, "", 1);
    CHECK_STR((const char *)buf_head(&out), wanted);
    CHECK(got == column);
    buf_free(&out);
}

static void what_is_shown_has_the_cursor_in_it(void)
{
    begin("abc");
    shows(10, "abc", 3);
    line_home(&line);
    shows(2, "ab", 0);
    begin("0123456789");
    shows(6, "6789", 4);
    line_left(&line);
    shows(6, "56789", 4);
    begin("\u6f22\u5b57\u6f22");
    shows(6, "\u5b57\u6f22", 4);
    begin("a\nb\033");
    shows(20, "a\u21b5b\\x1b", 7);
    line_free(&line);
    shows(5, "", 0);
}

/* Whatever is done, the text stays valid and the cursor between characters, on the screen. */
static void random_keys(void)
{
    static void (*const keys[])(struct line *) = {line_left,  line_right,  line_home,      line_end,
                                                  line_erase, line_delete, line_erase_word};
    static const char *const pieces[] = {"a",      " ",      "\u6f22",     "e\u0301", "\U0001f44d",
                                         "\u200d", "\u0302", "\U0001f1e9", "\n"};
    unsigned seed = 4712;
    printf("# seed %u\n", seed);
    srand(seed);
    line_free(&line);
    for (int n = 0; n < 20000; n++) {
        struct buf out = BUF_INIT;
        int width = 3 + rand() % 30;
        if (rand() % 2)
            type(pieces[(size_t)rand() % (sizeof(pieces) / sizeof(pieces[0]))]);
        else
            keys[(size_t)rand() % (sizeof(keys) / sizeof(keys[0]))](&line);
        struct text t = line_text(&line);
        int column = line_show(&line, width, &out);
        CHECK(line.at <= t.n && (!t.n || utf8_valid((const uint8_t *)t.p, t.n)));
        CHECK(column >= 0 && column < width && cells_width(buf_text(&out)) <= width);
        buf_free(&out);
    }
    line_free(&line);
}

int main(void)
{
    setlocale(LC_CTYPE, "C.UTF-8");
    RUN(typing_puts_text_where_the_cursor_is);
    RUN(the_cursor_moves_by_characters);
    RUN(a_mark_that_is_typed_belongs_to_what_is_before_it);
    RUN(what_is_removed);
    RUN(too_much_is_refused);
    RUN(what_is_shown_has_the_cursor_in_it);
    RUN(random_keys);
    line_free(&line);
    return DONE();
}

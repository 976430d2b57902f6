/* What keys do; see keyboard.h. */
#include "keyboard.h"

#include <stdbool.h>
#include <string.h>

#include "desk.h"
#include "notice.h"
#include "screen.h"
#include "slash.h"
#include "view.h"

#define CTRL(c) ((c) - '@')

static struct buf pasted;
static bool pasting;

static void type(struct text t)
{
    if (!line_insert(desk_line(), t))
        notice_say("this is too long for a message");
}

static void type_line_feed(void)
{
    type((struct text){"\n", 1});
}

/* --- up and down --- */

static void move(int lines)
{
    const struct room *r = desk_room();
    if (desk_in_list())
        desk_choose(-lines);
    else if (r)
        view_scroll(r, lines);
}

static void up(void)
{
    move(1);
}

static void down(void)
{
    move(-1);
}

static int page(void)
{
    return view_height() > 2 ? view_height() - 1 : 1;
}

static void page_up(void)
{
    move(page());
}

static void page_down(void)
{
    move(-page());
}

/* --- others --- */

static void switch_pane(void)
{
    if (desk_room())
        desk_go_to_list(!desk_in_list());
}

static void pick_before(void)
{
    desk_pick(true);
}

static void pick_behind(void)
{
    desk_pick(false);
}

static void left(void)
{
    line_left(desk_line());
}

static void right(void)
{
    line_right(desk_line());
}

static void home(void)
{
    line_home(desk_line());
}

static void end(void)
{
    line_end(desk_line());
}

static void erase(void)
{
    line_erase(desk_line());
}

static void delete (void)
{
    line_delete(desk_line());
}

static void erase_word(void)
{
    line_erase_word(desk_line());
}

static void erase_before(void)
{
    line_erase_before(desk_line());
}

static void delete_behind(void)
{
    line_delete_behind(desk_line());
}

/* Escape was pressed. With Enter right behind it, as terminals send Alt and Enter, it is that key.
 */
static bool escaped;

static void escape(void)
{
    escaped = true;
}

static void go_back(void)
{
    desk_reset();
    if (desk_room())
        desk_go_to_list(false);
}

static void enter(void)
{
    if (escaped)
        type_line_feed();
    else
        slash_enter();
    escaped = false;
}

/* --- the table --- */

static const struct {
    enum screen_code code;
    unsigned char control;
    void (*act)(void);
} keys[] = {
    {SCREEN_CONTROL, '\r', enter},
    {SCREEN_CONTROL, '\t', switch_pane},
    {SCREEN_CONTROL, 27, escape},
    {SCREEN_CONTROL, 127, erase},
    {SCREEN_CONTROL, CTRL('A'), home},
    {SCREEN_CONTROL, CTRL('B'), left},
    {SCREEN_CONTROL, CTRL('C'), desk_leave},
    {SCREEN_CONTROL, CTRL('D'), delete},
    {SCREEN_CONTROL, CTRL('E'), end},
    {SCREEN_CONTROL, CTRL('F'), right},
    {SCREEN_CONTROL, CTRL('H'), erase},
    {SCREEN_CONTROL, CTRL('J'), type_line_feed},
    {SCREEN_CONTROL, CTRL('K'), delete_behind},
    {SCREEN_CONTROL, CTRL('L'), screen_redraw},
    {SCREEN_CONTROL, CTRL('N'), pick_behind},
    {SCREEN_CONTROL, CTRL('P'), pick_before},
    {SCREEN_CONTROL, CTRL('U'), erase_before},
    {SCREEN_CONTROL, CTRL('W'), erase_word},
    {SCREEN_CONTROL, CTRL('Z'), screen_suspend},
    {SCREEN_CONTROL, CTRL('\\'), desk_leave},
    {SCREEN_UP, 0, up},
    {SCREEN_DOWN, 0, down},
    {SCREEN_LEFT, 0, left},
    {SCREEN_RIGHT, 0, right},
    {SCREEN_HOME, 0, home},
    {SCREEN_END, 0, end},
    {SCREEN_PAGE_UP, 0, page_up},
    {SCREEN_PAGE_DOWN, 0, page_down},
    {SCREEN_DELETE, 0, delete},
};

static void act(const struct screen_key *k)
{
    for (size_t i = 0; i < sizeof(keys) / sizeof(keys[0]); i++)
        if (keys[i].code == k->code && keys[i].control == k->control)
            keys[i].act();
}

/* --- what is pasted --- */

/* No key that is pasted does anything; lines stay lines. */
static void take_pasted(const struct screen_key *k)
{
    if (k->code == SCREEN_CHARACTER)
        buf_puts(&pasted, k->text);
    else if (k->code == SCREEN_CONTROL && (k->control == '\r' || k->control == '\n'))
        buf_puts(&pasted, "\n");
    else if (k->code == SCREEN_CONTROL && k->control == '\t')
        buf_puts(&pasted, "\t");
    if (buf_len(&pasted) > LINE_LONGEST)
        buf_truncate(&pasted, LINE_LONGEST + 1); /* too long, and stays that */
    pasting = k->code != SCREEN_PASTED;
    if (pasting)
        return;
    type(buf_text(&pasted));
    buf_free(&pasted);
}

static void settle_escape(const struct screen_key *k)
{
    bool enter_follows = k && k->code == SCREEN_CONTROL && k->control == '\r';
    if (!escaped || enter_follows)
        return;
    escaped = false;
    go_back();
}

static void take(const struct screen_key *k)
{
    settle_escape(k);
    if (pasting)
        take_pasted(k);
    else if (k->code == SCREEN_PASTE)
        pasting = true;
    else if (k->code == SCREEN_CHARACTER)
        type((struct text){k->text, strlen(k->text)});
    else
        act(k);
}

void keyboard_take(void)
{
    struct screen_key k;
    while (screen_key(&k)) {
        if (!pasting && k.code != SCREEN_OTHER) /* a new size comes as a key, too */
            notice_clear();
        take(&k);
    }
    settle_escape(NULL);
}

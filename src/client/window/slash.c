/* Lines that are entered; see slash.h. */
#include "slash.h"

#include <stdlib.h>
#include <string.h>

#include "desk.h"
#include "emoji.h"
#include "fetch.h"
#include "log.h"
#include "notice.h"
#include "people.h"
#include "posting.h"
#include "room.h"

/* The message that a command is about: the picked one, or the last, of this sender or of all. */
static struct post *about(int64_t sender)
{
    struct room *r = desk_room();
    struct post *p = desk_picked();
    if (!p && r)
        p = thread_last(&r->thread, sender);
    if (!p)
        notice_say("there is no message that this could be about");
    return p;
}

static void delete (struct text rest)
{
    const struct post *p = about(people_me);
    (void)rest;
    if (p)
        posting_delete(desk_room(), p->id);
    desk_reset();
}

static void edit(struct text rest)
{
    const struct post *p = about(people_me);
    if (p && rest.n)
        posting_edit(desk_room(), p->id, rest);
    else if (p)
        desk_edit(p);
}

static void help(struct text rest)
{
    (void)rest;
    notice_say(
        "Tab list, ^P ^N pick, Esc end; /open /reply /edit /delete /react /unreact /leave /quit;"
        " see chat(1)");
}

static void leave(struct text rest)
{
    const struct room *r = desk_room();
    (void)rest;
    if (r && !r->peer)
        posting_leave(r);
    else
        notice_say("this is no group that one could leave");
}

static void open_whom(struct text rest)
{
    char *whom = xstrndup(rest.p, rest.n);
    if (rest.n)
        fetch_whom(whom, desk_open);
    else
        notice_say("whom? /open bob, or /open #team");
    free(whom);
}

static void quit(struct text rest)
{
    (void)rest;
    desk_leave();
}

static void react_with(struct text emoji, bool remove)
{
    const struct post *p = about(0);
    if (!p)
        return;
    if (emoji_fits(emoji))
        posting_react(desk_room(), p->id, emoji, remove);
    else
        notice_say("one reacts with an emoji, or a short word");
    desk_reset();
}

static void react(struct text rest)
{
    react_with(rest, false);
}

static void unreact(struct text rest)
{
    react_with(rest, true);
}

static void reply(struct text rest)
{
    const struct post *p = about(0);
    if (p && rest.n)
        desk_send(rest, p->id);
    else if (p)
        notice_say("what? /reply text");
}

static const struct {
    const char *name;
    void (*run)(struct text rest);
} commands[] = {
    {"delete", delete}, {"edit", edit},      {"help", help},
    {"leave", leave},   {"open", open_whom}, {"quit", quit},
    {"react", react},   {"reply", reply},    {"unreact", unreact},
};

/* "/react +1": the name, and what stands behind it. */
static void run(struct text t)
{
    size_t n = 1;
    while (n < t.n && t.p[n] != ' ')
        n++;
    struct text rest = {t.p + n, t.n - n};
    while (rest.n && *rest.p == ' ')
        rest = (struct text){rest.p + 1, rest.n - 1};
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
        if (strlen(commands[i].name) == n - 1 && strncmp(commands[i].name, t.p + 1, n - 1) == 0) {
            commands[i].run(rest);
            return;
        }
    }
    notice_say("there is no command %.*s; a message that begins with / is typed with //", (int)n,
               t.p);
}

static bool is_command(struct text t)
{
    return t.n > 1 && t.p[0] == '/' && t.p[1] != '/' && !desk_editing();
}

static void enter(struct text t)
{
    bool twice = t.n > 1 && t.p[0] == '/' && t.p[1] == '/' && !desk_editing();
    if (is_command(t))
        run(t);
    else
        desk_send((struct text){t.p + twice, t.n - twice}, 0);
}

/* The line changes meanwhile, so it is copied. */
static void submit(struct line *l)
{
    struct buf typed = BUF_INIT;
    struct text t = line_text(l);
    buf_append(&typed, t.p, t.n);
    if (is_command(t) || desk_room())
        line_erase_all(l);
    enter(buf_text(&typed));
    buf_free(&typed);
}

/* In the list nothing is sent: it may hide where that would go. */
void slash_enter(void)
{
    struct line *l = desk_line();
    struct room *chosen = desk_chosen();
    struct text t = line_text(l);
    if (desk_in_list() && chosen && !is_command(t))
        desk_open(chosen);
    else if (t.n > 0)
        submit(l);
}

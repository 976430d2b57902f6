/* What lies before the user; see desk.h. */
#include "desk.h"

#include "fetch.h"
#include "notice.h"
#include "people.h"
#include "posting.h"
#include "view.h"

static int64_t open_room, chosen, picked, editing; /* ids; 0: none */
static bool in_list = true, left;
static struct line idle; /* where none is open */

struct room *desk_room(void)
{
    struct room *r = open_room ? room_find(open_room) : NULL;
    if (open_room && !r) {
        open_room = picked = editing = 0;
        in_list = true;
        view_follow();
    }
    return r;
}

struct room *desk_chosen(void)
{
    struct room *r = chosen ? room_find(chosen) : NULL;
    if (!r)
        r = room_at(0);
    chosen = r ? r->id : 0;
    return r;
}

/* What was typed before any was open goes along. */
static void take_idle(struct room *r)
{
    if (line_text(&idle).n == 0 || line_text(&r->line).n > 0)
        return;
    r->line = idle;
    idle = (struct line){0};
}

void desk_open(struct room *r)
{
    desk_reset(); /* of what was open */
    if (!desk_room())
        take_idle(r);
    open_room = chosen = r->id;
    in_list = false;
}

bool desk_in_list(void)
{
    return in_list || !desk_room();
}

void desk_go_to_list(bool list)
{
    in_list = list;
}

void desk_choose(int down)
{
    const struct room *r = desk_chosen();
    if (!r)
        return;
    long at = (long)room_index(r) + down, last = (long)room_count() - 1;
    chosen = room_at((size_t)(at < 0 ? 0 : at > last ? last : at))->id;
}

struct line *desk_line(void)
{
    struct room *r = desk_room();
    return r ? &r->line : &idle;
}

/* --- messages --- */

struct post *desk_picked(void)
{
    const struct room *r = desk_room();
    return r && picked ? thread_find(&r->thread, picked) : NULL;
}

static bool can_be_picked(const struct post *p)
{
    return p->id && !p->deleted;
}

void desk_pick(bool before)
{
    const struct room *r = desk_room();
    const struct post *p = desk_picked();
    size_t at = r && p ? thread_index(&r->thread, p) : r ? r->thread.count : 0;
    do
        at += before ? (size_t)-1 : 1;
    while (r && at < r->thread.count && !can_be_picked(r->thread.posts[at]));
    if (!r || at >= r->thread.count)
        return;
    picked = r->thread.posts[at]->id;
    view_pick(r, r->thread.posts[at]);
}

int64_t desk_editing(void)
{
    return editing;
}

void desk_edit(const struct post *p)
{
    size_t n = 0;
    while (p->content[n])
        n++;
    editing = p->id;
    line_set(desk_line(), (struct text){p->content, n});
}

void desk_reset(void)
{
    if (editing)
        line_erase_all(desk_line());
    picked = editing = 0;
    view_follow();
}

void desk_send(struct text t, int64_t reply_to)
{
    struct room *r = desk_room();
    if (!r)
        notice_say("no conversation is open: choose one, and press Enter");
    else if (editing)
        posting_edit(r, editing, t);
    else
        posting_send(r, t, reply_to);
    if (r)
        desk_reset();
}

/* --- what follows --- */

/* Only what stands on the screen was read. */
static void notice_read(struct room *r)
{
    const struct thread *t = &r->thread;
    if (!t->loaded || !view_shown() || !view_following())
        return;
    for (size_t i = t->count; i-- > 0;) {
        if (t->posts[i]->id && t->posts[i]->sender != people_me) {
            posting_read(r, t->posts[i]->id);
            return;
        }
    }
}

void desk_tick(void)
{
    struct room *r = desk_room();
    if (!r)
        return;
    notice_read(r);
    if (r->thread.loaded && view_shown() && view_at_top())
        fetch_older(r);
}

void desk_leave(void)
{
    left = true;
}

bool desk_left(void)
{
    return left;
}

void desk_free(void)
{
    line_free(&idle);
}

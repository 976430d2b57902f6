/* What is missing; see fetch.h. */
#include "fetch.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "backoff.h"
#include "calls.h"
#include "clock.h"
#include "json.h"
#include "log.h"
#include "member.h"
#include "notice.h"
#include "people.h"
#include "reader.h"

enum { PAGE = 50, FIRST_WAIT = 500, MOST_WAIT = 20000, MOST_TOLD = 50 };

static bool stale, listing;
static unsigned held; /* answers that frames wait for */
static int64_t again = CLOCK_NEVER;
static struct backoff backoff = {.first = FIRST_WAIT, .most = MOST_WAIT};
static void (*when_found)(struct room *r);

void fetch_stale(void)
{
    stale = true;
}

void fetch_reset(void)
{
    stale = false;
    again = CLOCK_NEVER;
    backoff_reset(&backoff);
}

bool fetch_busy(void)
{
    return stale || held > 0;
}

int64_t fetch_due(void)
{
    return again;
}

/* --- answers --- */

/* Without a token that counts nothing goes on. */
static bool is_good(const struct answer *a)
{
    char said[200];
    if (answer_good(a)) {
        backoff_reset(&backoff);
        return true;
    }
    if (a->status == 401 || a->fatal)
        answer_check(a);
    again = clock_ms() + backoff_failed(&backoff);
    if (a->status && !answer_temporary(a)) {
        answer_words(a, said, sizeof(said));
        notice_say("%s", said);
    }
    return false;
}

static struct json_object *object_of(const struct answer *a)
{
    return is_good(a) ? answer_object(a) : NULL;
}

static struct json_object *array_of(const struct answer *a)
{
    return is_good(a) ? answer_array(a) : NULL;
}

static void ask(const char *path, calls_done *done, int64_t about)
{
    calls_ask("GET", path, (struct text){NULL, 0}, NULL, done, NULL, about);
}

static void ask_held(const char *path, calls_done *done, int64_t about)
{
    held++;
    ask(path, done, about);
}

/* --- the list --- */

static void sweep(void)
{
    for (size_t i = room_count(); i-- > 0;) {
        struct room *r = room_at(i);
        if (!r->listed && !r->peer)
            room_drop(r);
    }
    stale = listing = false;
}

static void take_list(void *arg, int64_t about, const struct answer *a);

static void next_page(struct json_object *page)
{
    struct buf path = BUF_INIT;
    buf_puts(&path, "/conversations?limit=100&before=");
    request_escape(&path, member_text(page, "next"));
    buf_append(&path, "", 1);
    ask_held((const char *)buf_head(&path), take_list, 0);
    buf_free(&path);
}

static size_t count_listed(void)
{
    size_t n = 0;
    for (size_t i = 0; i < room_count(); i++)
        n += room_at(i)->listed;
    return n;
}

/* A page that brings nothing new is the last one, whatever the server says. */
static void read_page(struct json_object *page)
{
    int64_t rank = room_count() ? room_at(0)->rank : 0;
    struct json_object *list = member_array(page, "conversations");
    size_t n = list ? json_object_array_length(list) : 0, listed = count_listed();
    for (size_t i = 0; i < n; i++) {
        const struct room *r = reader_room(json_object_array_get_idx(list, i), rank);
        rank = r ? r->rank : rank;
    }
    if (count_listed() > listed && member_text(page, "next").n > 0)
        next_page(page);
    else
        sweep();
}

static void take_list(void *arg, int64_t about, const struct answer *a)
{
    (void)arg;
    (void)about;
    struct json_object *page = object_of(a);
    held--;
    if (page)
        read_page(page);
    else
        listing = false;
    json_object_put(page);
}

static void begin_list(void)
{
    listing = true;
    for (size_t i = 0; i < room_count(); i++)
        room_at(i)->listed = false;
    ask_held("/conversations?limit=100", take_list, 0);
}

/* --- a conversation --- */

static void read_history(struct room *r, struct json_object *list)
{
    for (size_t i = 0; i < json_object_array_length(list); i++)
        reader_post(r, json_object_array_get_idx(list, i));
    r->thread.loaded = true;
}

/* The first message that is here; 0: none is. */
static int64_t oldest(const struct room *r)
{
    return r->thread.count > 0 ? r->thread.posts[0]->id : 0;
}

/* A page that brings nothing before those that are here is the last one, whatever the server says.
 */
static void take_history(void *arg, int64_t about, const struct answer *a)
{
    (void)arg;
    struct room *r = room_find(about);
    struct json_object *list = array_of(a);
    held--;
    if (r)
        r->loading = false;
    if (r && list) {
        int64_t before = r->thread.loaded ? oldest(r) : 0;
        read_history(r, list);
        r->thread.complete = !*a->next || oldest(r) == before;
    }
    json_object_put(list);
}

void fetch_older(struct room *r)
{
    char path[120];
    const struct thread *t = &r->thread;
    int64_t first = oldest(r);
    if (r->loading || t->complete || clock_ms() < (again == CLOCK_NEVER ? 0 : again))
        return;
    int n =
        snprintf(path, sizeof(path), "/conversations/%" PRId64 "/messages?limit=%d", r->id, PAGE);
    if (t->loaded && first)
        snprintf(path + n, sizeof(path) - (size_t)n, "&before=%" PRId64, first);
    r->loading = true;
    ask_held(path, take_history, r->id);
}

/* In a large group nobody is told who has read what; see chatd-protocol(7). */
static void take_members(void *arg, int64_t about, const struct answer *a)
{
    (void)arg;
    struct room *r = room_find(about);
    struct json_object *list = array_of(a);
    held--;
    if (r && list) {
        reader_members(r, list);
        r->marks_known = json_object_array_length(list) <= MOST_TOLD;
    } else if (r) {
        r->members_asked = false;
    }
    json_object_put(list);
}

static void ask_members(struct room *r)
{
    char path[80];
    snprintf(path, sizeof(path), "/conversations/%" PRId64 "/members", r->id);
    r->members_asked = true;
    ask_held(path, take_members, r->id);
}

/* The list has no conversation without a message: whether its other user is online is asked for,
 * since it may have changed before anything was followed. */
static void take_room(void *arg, int64_t about, const struct answer *a)
{
    (void)arg;
    struct room *r = room_find(about);
    struct json_object *o = object_of(a);
    held--;
    if (r && o)
        reader_room(o, r->rank);
    else if (r && answer_temporary(a))
        r->listed = false;
    json_object_put(o);
}

static void ask_room(struct room *r)
{
    char path[80];
    snprintf(path, sizeof(path), "/conversations/%" PRId64, r->id);
    r->listed = true;
    ask_held(path, take_room, r->id);
}

/* --- names --- */

static void take_name(void *arg, int64_t about, const struct answer *a)
{
    (void)arg;
    struct json_object *list = array_of(a),
                       *first = list ? json_object_array_get_idx(list, 0) : NULL;
    if (first && member_id(first, "id") == about)
        people_learn(about, member_text(first, "username"));
    json_object_put(list);
}

static void ask_name(int64_t id)
{
    char path[80];
    snprintf(path, sizeof(path), "/users?limit=1&after=%" PRId64, id - 1);
    ask(path, take_name, id);
}

/* --- what is missing --- */

static void ask_missing(struct room *open)
{
    int64_t nameless = people_missing();
    if (stale && !listing)
        begin_list();
    if (open && open->peer && !stale && !open->listed)
        ask_room(open);
    if (open && !open->thread.loaded)
        fetch_older(open);
    if (open && !open->peer && !open->members_asked)
        ask_members(open);
    if (nameless)
        ask_name(nameless);
}

void fetch_tick(struct room *open)
{
    if (again != CLOCK_NEVER && clock_ms() < again)
        return;
    again = CLOCK_NEVER;
    ask_missing(open);
}

/* --- whom --- */

static void take_direct(void *arg, int64_t about, const struct answer *a)
{
    (void)arg;
    (void)about;
    struct json_object *o = object_of(a);
    struct room *r = o ? reader_room(o, room_count() ? room_at(0)->rank : 0) : NULL;
    if (r)
        when_found(r);
    json_object_put(o);
}

static void ask_direct(int64_t user)
{
    struct buf body = BUF_INIT;
    buf_printf(&body, "{\"user_id\":%" PRId64 "}", user);
    calls_ask("POST", "/conversations", buf_text(&body), NULL, take_direct, NULL, 0);
    buf_free(&body);
}

static void take_user(void *arg, int64_t about, const struct answer *a)
{
    char *name = (char *)arg;
    (void)about;
    struct json_object *list = array_of(a),
                       *first = list ? json_object_array_get_idx(list, 0) : NULL;
    if (first && strcasecmp(member_text(first, "username").p, name) == 0)
        ask_direct(member_id(first, "id"));
    else if (list)
        notice_say("there is no user \"%s\"", name);
    json_object_put(list);
    free(name);
}

static void ask_user(const char *name)
{
    struct buf path = BUF_INIT;
    buf_puts(&path, "/users?limit=1&q=");
    request_escape(&path, (struct text){name, strlen(name)});
    buf_append(&path, "", 1);
    calls_ask("GET", (const char *)buf_head(&path), (struct text){NULL, 0}, NULL, take_user,
              xstrdup(name), 0);
    buf_free(&path);
}

void fetch_whom(const char *whom, void (*found)(struct room *r))
{
    struct room *r = room_named(whom);
    when_found = found;
    if (r)
        found(r);
    else if (*whom == '#')
        notice_say("you are in no group of this name, or in several: \"%s\"", whom);
    else
        ask_user(whom);
}

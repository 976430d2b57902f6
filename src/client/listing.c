/* Commands that list: who is there, the conversations, the members of a group. */
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "element.h"
#include "grid.h"
#include "json.h"
#include "log.h"
#include "paging.h"
#include "program.h"
#include "show.h"
#include "target.h"
#include "verbs.h"

/* A row for people, or a line for programs. */
struct listing {
    struct grid grid;
    struct buf lines;
};

static void put_cell(struct grid *g, void (*put)(struct buf *out, struct text t), struct text t)
{
    struct buf out = BUF_INIT;
    put(&out, t);
    buf_append(&out, "", 1);
    grid_put(g, (const char *)buf_head(&out));
    buf_free(&out);
}

/* A text of the object, or nothing where it has none. */
static void put_member(struct grid *g, struct json_object *o, const char *key,
                       void (*put)(struct buf *out, struct text t))
{
    struct text t;
    if (json_get_text(o, key, &t) == JSON_OK)
        put_cell(g, put, t);
    else
        grid_put(g, NULL);
}

static bool is_online(struct json_object *o)
{
    bool online = false;
    return json_get_bool(o, "online", &online) == JSON_OK && online;
}

static void put_online(struct grid *g, struct json_object *o)
{
    grid_put(g, is_online(o) ? "t" : "f");
}

static void listing_begin(struct listing *l, const struct grid_column *columns, size_t width)
{
    grid_init(&l->grid, columns, width);
    l->lines = (struct buf)BUF_INIT;
}

/* Programs get each page as it comes. */
static void listing_print_lines(struct listing *l)
{
    if (program.json)
        show_print(&l->lines);
}

static void listing_end(struct listing *l)
{
    if (!program.json)
        grid_print(&l->grid, false);
    grid_free(&l->grid);
    buf_free(&l->lines);
}

/* --- users --- */

static void put_user(struct listing *l, struct json_object *o)
{
    if (!program.all && !is_online(o))
        return;
    if (program.json) {
        element_put(&l->lines, o);
        return;
    }
    put_member(&l->grid, o, "username", show_put);
    put_member(&l->grid, o, "display_name", show_put);
    put_online(&l->grid, o);
    put_member(&l->grid, o, "last_seen", show_time);
}

void listing_users(const struct login *login, char **words)
{
    static const struct grid_column columns[] = {
        {"user", GRID_TEXT}, {"name", GRID_TEXT}, {"online", GRID_BOOL}, {"last_seen", GRID_TEXT}};
    struct listing l;
    struct pages pages = {.path = "/users", .query = "?limit=1000"};
    struct json_object *page;
    (void)login;
    (void)words;
    listing_begin(&l, columns, sizeof(columns) / sizeof(columns[0]));
    while ((page = pages_next(&pages))) {
        for (size_t i = 0; i < json_object_array_length(page); i++)
            put_user(&l, json_object_array_get_idx(page, i));
        listing_print_lines(&l);
        json_object_put(page);
    }
    listing_end(&l);
}

/* --- conversations --- */

/* As target_find() takes it. */
static void put_label(struct grid *g, struct json_object *o)
{
    struct text name;
    struct json_object *peer;
    if (json_get_text(o, "name", &name) == JSON_OK) {
        struct buf label = BUF_INIT;
        buf_puts(&label, "#");
        buf_append(&label, name.p, name.n);
        put_cell(g, show_put, buf_text(&label));
        buf_free(&label);
    } else {
        put_member(g, json_get_object(o, "peer", &peer) == JSON_OK ? peer : NULL, "username",
                   show_put);
    }
}

static void put_unread(struct grid *g, struct json_object *o)
{
    int64_t unread = 0;
    json_get_id(o, "unread", &unread);
    grid_printf(g, "%" PRId64 "%s", unread, unread >= 100 ? "+" : "");
}

static void put_conversation(struct listing *l, struct json_object *o)
{
    struct json_object *last = NULL;
    int64_t id = 0;
    if (program.json) {
        element_put(&l->lines, o);
        return;
    }
    json_get_id(o, "id", &id);
    json_get_object(o, "last_message", &last);
    grid_printf(&l->grid, "#%" PRId64, id);
    put_label(&l->grid, o);
    put_unread(&l->grid, o);
    put_member(&l->grid, last, "created_at", show_time);
    put_member(&l->grid, last, "content", show_put);
}

void listing_conversations(const struct login *login, char **words)
{
    static const struct grid_column columns[] = {{"number", GRID_TEXT},
                                                 {"with", GRID_TEXT},
                                                 {"unread", GRID_NUMBER},
                                                 {"last", GRID_TEXT},
                                                 {"message", GRID_TEXT}};
    struct listing l;
    struct pages pages = {.path = "/conversations", .query = "?limit=100"};
    struct json_object *page, *list;
    (void)login;
    (void)words;
    listing_begin(&l, columns, sizeof(columns) / sizeof(columns[0]));
    while ((page = pages_next_conversations(&pages, &list))) {
        for (size_t i = 0; i < json_object_array_length(list); i++)
            put_conversation(&l, json_object_array_get_idx(list, i));
        listing_print_lines(&l);
        json_object_put(page);
    }
    listing_end(&l);
}

/* --- members --- */

static void put_one_member(struct listing *l, struct json_object *o)
{
    if (program.json) {
        element_put(&l->lines, o);
        return;
    }
    put_member(&l->grid, o, "username", show_put);
    put_member(&l->grid, o, "role", show_put);
    put_online(&l->grid, o);
    put_member(&l->grid, o, "since", show_time);
}

void listing_members(const struct login *login, char **words)
{
    static const struct grid_column columns[] = {
        {"user", GRID_TEXT}, {"role", GRID_TEXT}, {"online", GRID_BOOL}, {"since", GRID_TEXT}};
    struct listing l;
    struct target t;
    struct pages pages = {.query = "?limit=1000"};
    struct json_object *page;
    char *path;
    (void)login;
    target_find_group(&t, words[0]);
    if (asprintf(&path, "%s/members", t.path) < 0)
        die("out of memory");
    pages.path = path;
    listing_begin(&l, columns, sizeof(columns) / sizeof(columns[0]));
    while ((page = pages_next(&pages))) {
        for (size_t i = 0; i < json_object_array_length(page); i++)
            put_one_member(&l, json_object_array_get_idx(page, i));
        listing_print_lines(&l);
        json_object_put(page);
    }
    listing_end(&l);
    free(path);
    target_free(&t);
}

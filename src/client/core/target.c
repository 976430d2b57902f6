/* Users and groups by name; see target.h. */
#include "target.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "buf.h"
#include "json.h"
#include "log.h"
#include "paging.h"
#include "program.h"
#include "request.h"

static void set(struct target *t, int64_t conversation)
{
    t->conversation = conversation;
    if (asprintf(&t->path, "/conversations/%" PRId64, conversation) < 0)
        die("out of memory");
}

void target_free(struct target *t)
{
    free(t->path);
    *t = (struct target){0};
}

static int64_t id_in(struct json_object *o)
{
    int64_t id;
    if (json_get_id(o, "id", &id) != JSON_OK)
        program_fail(CHAT_FAILED, "the server's answer has no id");
    return id;
}

/* Users come in the order of their names, so the one who has just this name is the first. */
int64_t target_user(const char *name)
{
    struct buf path = BUF_INIT;
    struct text found;
    buf_puts(&path, "/users?limit=1&q=");
    request_escape(&path, (struct text){name, strlen(name)});
    buf_append(&path, "", 1);
    struct json_object *users = request_array((const char *)buf_head(&path), NULL);
    struct json_object *first = json_object_array_get_idx(users, 0);
    if (!*name || json_get_text(first, "username", &found) != JSON_OK ||
        strcasecmp(found.p, name) != 0)
        program_fail(CHAT_UNKNOWN, "there is no user \"%s\"", name);
    int64_t id = id_in(first);
    json_object_put(users);
    buf_free(&path);
    return id;
}

static void find_direct(struct target *t, const char *name)
{
    struct buf body = BUF_INIT;
    buf_printf(&body, "{\"user_id\":%" PRId64 "}", target_user(name));
    struct json_object *o = request_object("POST", "/conversations", &body);
    set(t, id_in(o));
    json_object_put(o);
    buf_free(&body);
}

static bool is_number(const char *word)
{
    size_t n = strlen(word);
    return n > 0 && n <= 18 && strspn(word, "0123456789") == n;
}

static bool is_group_named(struct json_object *o, const char *name)
{
    struct text found;
    return json_get_text(o, "name", &found) == JSON_OK && strcmp(found.p, name) == 0;
}

static void search(struct json_object *list, const char *name, int64_t *found)
{
    for (size_t i = 0; i < json_object_array_length(list); i++) {
        struct json_object *o = json_object_array_get_idx(list, i);
        if (!is_group_named(o, name))
            continue;
        if (*found && *found != id_in(o))
            program_fail(CHAT_UNKNOWN,
                         "several groups have the name \"%s\": say '#%" PRId64 "' or '#%" PRId64
                         "'",
                         name, *found, id_in(o));
        *found = id_in(o);
    }
}

static void find_named(struct target *t, const char *name)
{
    int64_t found = 0;
    struct pages pages = {.path = "/conversations", .query = "?limit=100"};
    struct json_object *page, *list;
    while ((page = pages_next_conversations(&pages, &list))) {
        search(list, name, &found);
        json_object_put(page);
    }
    if (!found)
        program_fail(CHAT_UNKNOWN, "you are in no group \"%s\"", name);
    set(t, found);
}

void target_find_group(struct target *t, const char *word)
{
    if (word[0] != '#' || !word[1])
        program_fail(CHAT_USAGE, "\"%s\" is no group: a group is '#NAME', in quotes", word);
    if (!is_number(word + 1)) {
        find_named(t, word + 1);
        return;
    }
    set(t, strtoll(word + 1, NULL, 10));
    json_object_put(request_object("GET", t->path, NULL));
}

void target_find(struct target *t, const char *word)
{
    if (word[0] == '#')
        target_find_group(t, word);
    else
        find_direct(t, word);
}

/* Commands that make groups and change them. */
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "element.h"
#include "json.h"
#include "log.h"
#include "program.h"
#include "request.h"
#include "show.h"
#include "target.h"
#include "utf8.h"
#include "verbs.h"

static void put_name(struct buf *body, const char *name)
{
    size_t n = strlen(name);
    if (!utf8_valid((const uint8_t *)name, n))
        program_fail(CHAT_USAGE, "the name must be UTF-8");
    buf_puts(body, "{\"name\":");
    json_put_string(body, name, n);
}

/* The number of the new group, which no other has, as the other commands take it. */
static void print_group(struct json_object *o)
{
    struct buf out = BUF_INIT;
    int64_t id = 0;
    if (json_get_id(o, "id", &id) != JSON_OK)
        program_fail(CHAT_FAILED, "the server's answer has no id");
    if (program.json)
        element_put(&out, o);
    else
        buf_printf(&out, "#%" PRId64 "\n", id);
    show_print(&out);
    buf_free(&out);
}

void group_create(const struct login *l, char **words)
{
    struct buf body = BUF_INIT;
    (void)l;
    put_name(&body, words[0]);
    buf_puts(&body, ",\"members\":[");
    for (char **name = words + 1; *name; name++)
        buf_printf(&body, "%s%" PRId64, name == words + 1 ? "" : ",", target_user(*name));
    buf_puts(&body, "]");
    if (program.history) {
        buf_puts(&body, ",\"history\":");
        json_put_string(&body, program.history, strlen(program.history));
    }
    buf_puts(&body, "}");
    struct json_object *o = request_object("POST", "/conversations", &body);
    print_group(o);
    json_object_put(o);
    buf_free(&body);
}

/* Asks for a change of what is at this path below the group. */
static void change(const struct target *t, const char *below, const char *method,
                   const struct buf *body)
{
    char *path;
    if (asprintf(&path, "%s%s", t->path, below) < 0)
        die("out of memory");
    if (body)
        json_object_put(request_object(method, path, body));
    else
        request_plain(method, path);
    free(path);
}

void group_invite(const struct login *l, char **words)
{
    struct target t;
    (void)l;
    target_find_group(&t, words[0]);
    for (char **name = words + 1; *name; name++) {
        struct buf body = BUF_INIT;
        buf_printf(&body, "{\"user_id\":%" PRId64 ",\"role\":\"%s\"}", target_user(*name),
                   program.admin ? "admin" : "member");
        change(&t, "/members", "POST", &body);
        buf_free(&body);
    }
    target_free(&t);
}

void group_leave(const struct login *l, char **words)
{
    struct target t;
    int64_t id = 0;
    char below[40];
    (void)l;
    target_find_group(&t, words[0]);
    struct json_object *me = request_object("GET", "/me", NULL);
    if (json_get_id(me, "id", &id) != JSON_OK)
        program_fail(CHAT_FAILED, "the server's answer has no id");
    snprintf(below, sizeof(below), "/members/%" PRId64, id);
    change(&t, below, "DELETE", NULL);
    json_object_put(me);
    target_free(&t);
}

void group_rename(const struct login *l, char **words)
{
    struct target t;
    struct buf body = BUF_INIT;
    (void)l;
    target_find_group(&t, words[0]);
    put_name(&body, words[1]);
    buf_puts(&body, "}");
    change(&t, "", "PATCH", &body);
    buf_free(&body);
    target_free(&t);
}

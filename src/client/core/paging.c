/* Page by page; see paging.h. */
#include "paging.h"

#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "json.h"
#include "log.h"
#include "program.h"
#include "request.h"

static char *whole(const struct pages *p)
{
    char *path;
    if (asprintf(&path, "%s%s", p->path, p->query) < 0)
        die("out of memory");
    return path;
}

struct json_object *pages_next(struct pages *p)
{
    if (p->ended)
        return NULL;
    char *path = whole(p), next[sizeof(p->query)];
    struct json_object *page = request_array(path, next);
    /* A page without anything has nothing behind it, whatever the server says. */
    p->ended = !*next || json_object_array_length(page) == 0;
    memcpy(p->query, next, sizeof(next));
    free(path);
    return page;
}

/* "next" as a query: false if there is none. */
static bool take_next(struct json_object *page, struct pages *p)
{
    struct text next;
    struct buf out = BUF_INIT;
    if (json_get_text(page, "next", &next) != JSON_OK)
        return false;
    buf_puts(&out, "?limit=100&before=");
    request_escape(&out, next);
    bool fits = buf_len(&out) < sizeof(p->query);
    if (fits)
        snprintf(p->query, sizeof(p->query), "%.*s", (int)buf_len(&out), (char *)buf_head(&out));
    buf_free(&out);
    return fits;
}

struct json_object *pages_next_conversations(struct pages *p, struct json_object **list)
{
    if (p->ended)
        return NULL;
    char *path = whole(p);
    struct json_object *page = request_object("GET", path, NULL);
    if (!json_object_object_get_ex(page, "conversations", list) ||
        !json_object_is_type(*list, json_type_array))
        program_fail(CHAT_FAILED, "the server's answer has no conversations");
    p->ended = json_object_array_length(*list) == 0 || !take_next(page, p);
    free(path);
    return page;
}

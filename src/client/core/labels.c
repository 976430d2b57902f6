/* Names of ids; see labels.h. */
#include "labels.h"

#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>

#include "json.h"
#include "log.h"
#include "map.h"
#include "request.h"

enum { MOST = 10000 }; /* names that are kept */

static struct map users, conversations;

static void forget_all(struct map *m)
{
    size_t at = 0;
    for (char *name; (name = map_next(m, &at));)
        free(name);
    map_free(m);
    *m = (struct map){0};
}

static const char *keep(struct map *m, int64_t id, char *name)
{
    if (m->count >= MOST)
        forget_all(m);
    free(map_remove(m, (uint64_t)id));
    map_put(m, (uint64_t)id, name);
    return name;
}

/* Not kept: the server may be back soon. */
static const char *unnamed(const char *what, int64_t id)
{
    static char text[40];
    snprintf(text, sizeof(text), "%s%" PRId64, what, id);
    return text;
}

static bool ask(const char *path, struct answer *a)
{
    return request_try(&(struct request){"GET", path, NULL, NULL}, a) && a->status == 200;
}

static char *user_in(struct json_object *list, int64_t id)
{
    struct json_object *o = list ? json_object_array_get_idx(list, 0) : NULL;
    int64_t its;
    struct text name;
    bool good = json_get_id(o, "id", &its) == JSON_OK && its == id &&
                json_get_text(o, "username", &name) == JSON_OK;
    return good ? xstrndup(name.p, name.n) : NULL;
}

/* There is no request for one user, but for those behind an id. */
static char *find_user(int64_t id)
{
    char path[64], *name = NULL;
    struct answer a;
    const char *error;
    snprintf(path, sizeof(path), "/users?limit=1&after=%" PRId64, id - 1);
    if (ask(path, &a)) {
        struct json_object *list =
            json_parse_array((const char *)buf_head(&a.body), buf_len(&a.body), &error);
        name = user_in(list, id);
        json_object_put(list);
    }
    answer_free(&a);
    return name;
}

const char *label_of_user(int64_t id)
{
    char *name = (char *)map_get(&users, (uint64_t)id);
    if (name)
        return name;
    name = find_user(id);
    return name ? keep(&users, id, name) : unnamed("user ", id);
}

/* "#Team", or the name of the other. */
static char *conversation_in(struct json_object *o)
{
    struct text name;
    struct json_object *peer;
    char *label = NULL;
    if (json_get_text(o, "name", &name) == JSON_OK) {
        if (asprintf(&label, "#%.*s", (int)name.n, name.p) < 0)
            die("out of memory");
    } else if (json_get_object(o, "peer", &peer) == JSON_OK &&
               json_get_text(peer, "username", &name) == JSON_OK) {
        label = xstrndup(name.p, name.n);
    }
    return label;
}

static char *find_conversation(int64_t id)
{
    char path[64], *label = NULL;
    struct answer a;
    const char *error;
    snprintf(path, sizeof(path), "/conversations/%" PRId64, id);
    if (ask(path, &a)) {
        struct json_object *o =
            json_parse_object((const char *)buf_head(&a.body), buf_len(&a.body), &error);
        label = conversation_in(o);
        json_object_put(o);
    }
    answer_free(&a);
    return label;
}

const char *label_of_conversation(int64_t id)
{
    char *label = (char *)map_get(&conversations, (uint64_t)id);
    if (label)
        return label;
    label = find_conversation(id);
    return label ? keep(&conversations, id, label) : unnamed("#", id);
}

void label_forget_conversation(int64_t id)
{
    free(map_remove(&conversations, (uint64_t)id));
}

/*
 * chat history: messages of a conversation, oldest first. Without --all one page, the last messages
 * or those that --after and --before bound; with it page after page up to the end.
 */
#include <inttypes.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>

#include "element.h"
#include "log.h"
#include "message.h"
#include "paging.h"
#include "program.h"
#include "show.h"
#include "target.h"
#include "verbs.h"

static void print_page(struct json_object *page)
{
    struct buf out = BUF_INIT;
    for (size_t i = 0; i < json_object_array_length(page); i++) {
        struct json_object *message = json_object_array_get_idx(page, i);
        if (program.json)
            element_put(&out, message);
        else
            message_put(&out, message);
    }
    show_print(&out);
    buf_free(&out);
}

static void begin(struct pages *p)
{
    int n = snprintf(p->query, sizeof(p->query), "?limit=%" PRId64, program.limit);
    int64_t after = program.all && program.after < 0 ? 0 : program.after;
    if (after >= 0)
        n += snprintf(p->query + n, sizeof(p->query) - (size_t)n, "&after=%" PRId64, after);
    if (program.before >= 0)
        snprintf(p->query + n, sizeof(p->query) - (size_t)n, "&before=%" PRId64, program.before);
}

void history_run(const struct login *l, char **words)
{
    struct target t;
    struct json_object *page;
    struct pages pages = {0};
    char *path;
    (void)l;
    target_find(&t, words[0]);
    if (asprintf(&path, "%s/messages", t.path) < 0)
        die("out of memory");
    pages.path = path;
    begin(&pages);
    while ((page = pages_next(&pages))) {
        print_page(page);
        json_object_put(page);
        pages.ended = pages.ended || !program.all;
    }
    free(path);
    target_free(&t);
}

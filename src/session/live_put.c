/* What an online client is told; see live_put.h. */
#include "live_put.h"

#include <time.h>

void live_put_frame(struct live *l, const void *json, size_t n, const struct cursor *at)
{
    if (!l->close_by)
        l->kind->frame(l, json, n, at);
}

void live_put_json(struct live *l, struct buf *json)
{
    live_put_frame(l, buf_head(json), buf_len(json), NULL);
    buf_free(json);
}

void live_put_error(struct live *l, struct text id, const char *code, bool temporary,
                    const char *text)
{
    struct buf json = BUF_INIT;
    chat_put_error(&json, id, code, temporary, text);
    live_put_json(l, &json);
}

void live_put_failure(struct live *l, struct text id, enum ipc_error error)
{
    const struct ipc_failure *f = ipc_failure(error);
    live_put_error(l, id, f->code, f->temporary, f->text);
}

void live_put_resumed(struct live *l, const struct buf *id, bool recovered)
{
    struct buf json = BUF_INIT;
    char text[CURSOR_TEXT];
    size_t n = cursor_format(text, l->ask->tag, l->ask->cursor);
    chat_put_resumed(&json, buf_text(id), (struct text){text, n}, recovered);
    live_put_frame(l, buf_head(&json), buf_len(&json), &l->ask->cursor);
    buf_free(&json);
}

void live_put_authenticated(struct live *l)
{
    struct buf json = BUF_INIT;
    int64_t now = (int64_t)time(NULL), expires = l->ask->expires;
    chat_put_authenticated(&json, buf_text(&l->auth_id), l->ask->user,
                           expires > now ? expires - now : 0);
    live_put_json(l, &json);
}

void live_goodbye(struct live *l, int code, const char *reason)
{
    if (!l->close_by)
        l->kind->goodbye(l, code, reason);
}

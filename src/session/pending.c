/* Frames without an answer yet; see pending.h. */
#include "pending.h"

#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "random.h"

enum { MAX_BYTES = 256 * 1024, MADE_ID = 32 };

bool pending_room(const struct pending *p)
{
    return p->count < IPC_MAX_SENDS && p->bytes < MAX_BYTES;
}

struct pending_item *pending_add(struct pending *p, const struct chat_frame *f, int64_t deadline)
{
    size_t id_size = f->id.p ? f->id.n : MADE_ID;
    struct pending_item *item = xcalloc(1, sizeof(*item) + id_size + f->content.n);
    *item = (struct pending_item){.type = f->type,
                                  .deadline = deadline,
                                  .has_id = f->id.p != NULL,
                                  .receiver = f->receiver,
                                  .conversation = f->conversation,
                                  .message = f->message,
                                  .reply_to = f->reply_to,
                                  .removes = f->removes,
                                  .id_size = id_size,
                                  .content_size = f->content.n};
    if (f->id.p)
        memcpy(item->text, f->id.p, id_size);
    else
        random_hex(item->text, MADE_ID / 2); /* unique: no other message has it */
    if (f->content.n > 0)
        memcpy(item->text + id_size, f->content.p, f->content.n);
    if (p->last)
        p->last->next = item;
    else
        p->first = item;
    p->last = item;
    p->count++;
    p->bytes += id_size + f->content.n;
    return item;
}

struct text pending_id(const struct pending_item *item)
{
    return item->has_id ? (struct text){item->text, item->id_size} : (struct text){0};
}

struct pending_item *pending_take(struct pending *p, uint32_t seq)
{
    struct pending_item *before = NULL, *item = p->first;
    while (item && item->seq != seq) {
        before = item;
        item = item->next;
    }
    if (!item)
        return NULL;
    if (before)
        before->next = item->next;
    else
        p->first = item->next;
    if (p->last == item)
        p->last = before;
    p->count--;
    p->bytes -= item->id_size + item->content_size;
    return item;
}

void pending_free(struct pending *p)
{
    while (p->first)
        free(pending_take(p, p->first->seq));
}

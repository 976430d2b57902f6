/* Peers with something queued; see outbox.h. */
#include "outbox.h"

#include <string.h>

static struct buf dirty; /* uint64_t ids of the peers */

void outbox_add(struct peer *p)
{
    if (!p->feed.dirty)
        buf_append(&dirty, &p->id, sizeof(p->id));
    p->feed.dirty = true;
}

void outbox_flush(void)
{
    while (buf_len(&dirty) > 0) {
        uint64_t id;
        memcpy(&id, buf_head(&dirty), sizeof(id));
        buf_consume(&dirty, sizeof(id));
        struct peer *p = peer_find(id);
        if (!p)
            continue;
        p->feed.dirty = false;
        if (ipc_channel_queued(&p->channel) > 0)
            peer_flush(p);
    }
}

void outbox_free(void)
{
    buf_free(&dirty);
}

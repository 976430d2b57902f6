/* The channel of a client that is online; see live_link.h. */
#include "live_link.h"

#include "clock.h"
#include "log.h"

void live_link_lose(struct live *l)
{
    if (l->channel == CHANNEL_READY)
        log_debug("the broker has closed the channel; reconnecting");
    ask_close(l->ask);
    l->posted = 0;
    l->channel = CHANNEL_AWAY;
    l->reconnect_at = clock_ms() + backoff_failed(&l->backoff);
}

/* Of the receiver and the conversation one is named, and the other 0. */
static void put_addressee(struct buf *out, int64_t receiver, int64_t conversation)
{
    ipc_put_u64(out, (uint64_t)(receiver ? receiver : conversation));
    ipc_put_u8(out, receiver ? IPC_NAMES_USER : IPC_NAMES_CONVERSATION);
}

static void put_message(struct buf *out, const struct pending_item *item)
{
    put_addressee(out, item->receiver, item->conversation);
    ipc_put_text(out, item->text, item->id_size);
    ipc_put_text(out, item->text + item->id_size, item->content_size);
    ipc_put_u64(out, (uint64_t)item->reply_to);
    ipc_put_u8(out, item->posted);
}

static void put_receipt(struct buf *out, const struct pending_item *item)
{
    ipc_put_u64(out, (uint64_t)item->conversation);
    ipc_put_u64(out, (uint64_t)item->message);
    ipc_put_u8(out, item->type == CHAT_READ);
}

static void put_change(struct buf *out, const struct pending_item *item)
{
    ipc_put_u64(out, (uint64_t)item->conversation);
    ipc_put_u64(out, (uint64_t)item->message);
    ipc_put_u8(out, item->type == CHAT_DELETE || item->removes);
    ipc_put_text(out, item->text + item->id_size, item->content_size);
}

static const struct kind {
    enum ipc_type request;
    void (*put)(struct buf *out, const struct pending_item *item);
} kinds[] = {
    [CHAT_MESSAGE] = {IPC_SEND, put_message},      [CHAT_READ] = {IPC_RECEIPT, put_receipt},
    [CHAT_DELIVERED] = {IPC_RECEIPT, put_receipt}, [CHAT_EDIT] = {IPC_EDIT, put_change},
    [CHAT_DELETE] = {IPC_EDIT, put_change},        [CHAT_REACT] = {IPC_REACT, put_change},
};

void live_link_post(struct live *l, struct pending_item *item)
{
    struct buf *out = &l->ask->channel.out;
    size_t begin = ask_begin(l->ask, kinds[item->type].request);
    item->seq = l->ask->seq;
    l->posted++;
    kinds[item->type].put(out, item);
    ipc_end(out, begin);
    item->posted = true;
}

void live_link_typing(struct live *l, const struct chat_frame *f)
{
    size_t begin = ask_begin(l->ask, IPC_TYPING);
    put_addressee(&l->ask->channel.out, f->receiver, f->conversation);
    ipc_end(&l->ask->channel.out, begin);
}

void live_link_resume(struct live *l)
{
    struct buf *out = &l->ask->channel.out;
    size_t begin = ask_begin(l->ask, IPC_RESUME);
    l->resume_seq = l->ask->seq;
    ipc_put_text(out, (const char *)buf_head(&l->resume_cursor), buf_len(&l->resume_cursor));
    ipc_end(out, begin);
}

/* Sends the broker a token to check; returns the request's number. */
static uint32_t post_token(struct live *l, const struct buf *token)
{
    struct buf *out = &l->ask->channel.out;
    size_t begin = ask_begin(l->ask, IPC_AUTH);
    ipc_put_text(out, (const char *)buf_head(token), buf_len(token));
    ipc_end(out, begin);
    return l->ask->seq;
}

void live_link_renew(struct live *l)
{
    l->renew_seq = post_token(l, &l->new_token);
}

void live_link_prove(struct live *l)
{
    if (!ask_connect(l->ask)) {
        live_link_lose(l);
        return;
    }
    l->step_seq = post_token(l, &l->token);
    l->channel = CHANNEL_AUTH;
}

void live_link_attach(struct live *l)
{
    ask_post_attach(l->ask, l->sign_in_by ? l->next->cursor : NULL);
    l->step_seq = l->ask->seq;
    l->channel = CHANNEL_ATTACH;
}

void live_link_ready(struct live *l)
{
    l->channel = CHANNEL_READY;
    backoff_reset(&l->backoff);
    for (struct pending_item *item = l->pending.first; item; item = item->next)
        live_link_post(l, item);
    if (l->resuming)
        live_link_resume(l);
    if (buf_len(&l->new_token) > 0)
        live_link_renew(l);
}

/*
 * The requests of sessions; see requests.h. Those about accounts are in accounts.c and me.c, those
 * for lists in lists.c, those that change conversations in conversations.c.
 *
 * Most answers come later, from the database or the signer; the peer may be gone by then.
 */
#include "requests.h"

#include <stdlib.h>
#include <string.h>

#include "accounts.h"
#include "bearer.h"
#include "broker.h"
#include "clock.h"
#include "connections.h"
#include "conversations.h"
#include "edits.h"
#include "emoji.h"
#include "feed.h"
#include "limits.h"
#include "lists.h"
#include "log.h"
#include "me.h"
#include "netaddr.h"
#include "receipts.h"
#include "resume.h"
#include "revocations.h"
#include "sends.h"
#include "signing.h"
#include "typing.h"

static const char *const malformed = "a message with a malformed payload";

/* --- HELLO, AUTH --- */

static const char *serve_hello(struct peer *p, const struct ipc_message *m)
{
    struct ipc_reader r = ipc_read(m);
    uint32_t version = ipc_get_u32(&r);
    p->origin = ipc_get_u64(&r);
    struct text address = ipc_get_text(&r, IPC_MAX_NAME);
    if (!ipc_read_end(&r) || !netaddr_parse(&p->client, address.p, address.n))
        return malformed;
    p->address = netaddr_owner(&p->client);
    p->remote = netaddr_is_loopback(&p->client) ? 0 : p->address;
    p->state = IPC_IS_NEW;
    return version == IPC_VERSION ? NULL : "another version of chatd";
}

static const char *serve_auth(struct peer *p, const struct ipc_message *m)
{
    struct ipc_reader r = ipc_read(m);
    struct text text = ipc_get_text(&r, IPC_MAX_TOKEN);
    if (!ipc_read_end(&r))
        return malformed;
    bearer_prove(asker_of(p, m), text);
    return NULL;
}

/* --- SIGN --- */

static void on_signed(void *arg, bool done, struct text signature)
{
    struct asker *a = arg;
    if (!done || signature.n == 0) {
        asker_fail(a, done ? IPC_E_INTERNAL : IPC_E_OVERLOADED);
        return;
    }
    struct peer *p = peer_answering(*a);
    if (p) {
        size_t begin = ipc_begin(&p->channel.out, IPC_SIGNED, a->seq);
        ipc_put_text(&p->channel.out, signature.p, signature.n);
        ipc_end(&p->channel.out, begin);
        peer_flush(p);
    }
    free(a);
}

static const char *serve_sign(struct peer *p, const struct ipc_message *m)
{
    struct ipc_reader r = ipc_read(m);
    struct signing_order order = {.scheme = ipc_get_u32(&r), .peer = p->id};
    order.key = ipc_get_text(&r, IPC_MAX_KEY);
    order.content = ipc_get_text(&r, IPC_MAX_HANDSHAKE);
    if (!ipc_read_end(&r))
        return malformed;
    if (p->signs)
        return "a second signature for one handshake";
    p->signs = true;
    signing_ask(&order, on_signed, asker_new(p, m));
    return NULL;
}

/* --- SEND, EDIT, ATTACH --- */

/* Sets the one that is named, and returns which: enum ipc_named, if that is right. */
static unsigned get_addressee(struct ipc_reader *r, int64_t *receiver, int64_t *conversation)
{
    int64_t named = (int64_t)ipc_get_u64(r);
    unsigned which = ipc_get_u8(r);
    *(which == IPC_NAMES_USER ? receiver : conversation) = named;
    return which;
}

static const char *serve_send(struct peer *p, const struct ipc_message *m)
{
    struct ipc_reader r = ipc_read(m);
    struct sending s = {0};
    unsigned which = get_addressee(&r, &s.receiver, &s.conversation);
    s.id = ipc_get_text(&r, IPC_MAX_ID);
    s.content = ipc_get_text(&r, IPC_MAX_CONTENT);
    s.reply_to = (int64_t)ipc_get_u64(&r);
    s.again = ipc_get_u8(&r) != 0;
    /* A single text that PostgreSQL refuses would fail the whole batch. */
    if (!ipc_read_end(&r) || which > IPC_NAMES_CONVERSATION || s.id.n == 0 ||
        s.content.n > broker.conf.max_content || !db_can_store(s.id.p, s.id.n) ||
        !db_can_store(s.content.p, s.content.n))
        return malformed;
    sends_add(p, asker_of(p, m), &s);
    return NULL;
}

static const char *serve_edit(struct peer *p, const struct ipc_message *m)
{
    struct ipc_reader r = ipc_read(m);
    struct editing e = {.conversation = (int64_t)ipc_get_u64(&r)};
    e.message = (int64_t)ipc_get_u64(&r);
    e.deletes = ipc_get_u8(&r) != 0;
    e.content = ipc_get_text(&r, IPC_MAX_CONTENT);
    if (!ipc_read_end(&r) || e.content.n > (e.deletes ? 0 : broker.conf.max_content) ||
        !db_can_store(e.content.p, e.content.n))
        return malformed;
    edits_add(p, asker_of(p, m), &e);
    return NULL;
}

static const char *serve_react(struct peer *p, const struct ipc_message *m)
{
    struct ipc_reader r = ipc_read(m);
    struct editing e = {.conversation = (int64_t)ipc_get_u64(&r), .reacts = true};
    e.message = (int64_t)ipc_get_u64(&r);
    e.deletes = ipc_get_u8(&r) != 0;
    e.content = ipc_get_text(&r, IPC_MAX_EMOJI);
    if (!ipc_read_end(&r) || !emoji_fits(e.content))
        return malformed;
    edits_add(p, asker_of(p, m), &e);
    return NULL;
}

static const char *serve_attach(struct peer *p, const struct ipc_message *m)
{
    struct ipc_reader r = ipc_read(m);
    struct text cursor = ipc_get_text(&r, IPC_MAX_CURSOR);
    uint64_t presence = ipc_get_u64(&r);
    if (!ipc_read_end(&r))
        return malformed;
    if (!connections_add(p)) {
        peer_fail(asker_of(p, m), IPC_E_CONNECTIONS);
        return NULL;
    }
    feed_attach(p, m->seq, cursor, presence);
    return NULL;
}

static const char *serve_resume(struct peer *p, const struct ipc_message *m)
{
    struct ipc_reader r = ipc_read(m);
    struct text cursor = ipc_get_text(&r, IPC_MAX_CURSOR);
    if (!ipc_read_end(&r))
        return malformed;
    resume_asked(p, m->seq, cursor);
    return NULL;
}

/* --- TYPING, RECEIPT --- */

static const char *serve_typing(struct peer *p, const struct ipc_message *m)
{
    struct ipc_reader r = ipc_read(m);
    struct typist t = {.sender = p->user};
    unsigned which = get_addressee(&r, &t.receiver, &t.conversation);
    if (!ipc_read_end(&r) || which > IPC_NAMES_CONVERSATION)
        return malformed;
    if (limits_typing(p->user, clock_ms()))
        typing_add(&t);
    return NULL;
}

static const char *serve_receipt(struct peer *p, const struct ipc_message *m)
{
    struct ipc_reader r = ipc_read(m);
    struct watermark w = {.user = p->user};
    w.conversation = (int64_t)ipc_get_u64(&r);
    w.message = (int64_t)ipc_get_u64(&r);
    w.read = ipc_get_u8(&r) != 0;
    if (!ipc_read_end(&r))
        return malformed;
    receipts_add(asker_of(p, m), &w);
    return NULL;
}

static const char *(*const handlers[IPC_TYPE_COUNT])(struct peer *, const struct ipc_message *) = {
    [IPC_HELLO] = serve_hello,
    [IPC_AUTH] = serve_auth,
    [IPC_REGISTER] = accounts_register,
    [IPC_LOGIN] = accounts_login,
    [IPC_USERS] = lists_users,
    [IPC_HISTORY] = lists_history,
    [IPC_SEND] = serve_send,
    [IPC_ATTACH] = serve_attach,
    [IPC_RESUME] = serve_resume,
    [IPC_PASSWORD] = accounts_password,
    [IPC_LOGOUT] = accounts_logout,
    [IPC_SIGN] = serve_sign,
    [IPC_ME] = me_show,
    [IPC_CHANGE_ME] = me_change,
    [IPC_TYPING] = serve_typing,
    [IPC_CONVERSATIONS] = lists_conversations,
    [IPC_CONVERSATION] = lists_conversation,
    [IPC_MEMBERS] = lists_members,
    [IPC_RECEIPT] = serve_receipt,
    [IPC_BLOCK] = me_block,
    [IPC_BLOCKS] = lists_blocks,
    [IPC_EDIT] = serve_edit,
    [IPC_REACT] = serve_react,
    [IPC_DIRECT] = conversations_direct,
    [IPC_GROUP] = conversations_group,
    [IPC_GROUP_CHANGE] = conversations_group_change,
    [IPC_MEMBER] = conversations_member,
};

const char *request_serve(struct peer *p, const struct ipc_message *m)
{
    if (!handlers[m->type])
        bug("no handler for %s", ipc_rule(m->type)->name);
    bool acts = !(ipc_rule(m->type)->when & IPC_IS_NEW); /* acts for a user */
    enum ipc_error error = acts ? revocations_verdict(p) : IPC_E_NONE;
    if (!error)
        return handlers[m->type](p, m);
    if (ipc_rule(m->type)->waiting)
        peer_fail(asker_of(p, m), error);
    return NULL;
}

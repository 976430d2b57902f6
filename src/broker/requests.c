/*
 * The requests of sessions; see requests.h. Those about accounts are in accounts.c and me.c.
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
#include "feed.h"
#include "limits.h"
#include "log.h"
#include "me.h"
#include "netaddr.h"
#include "pool.h"
#include "resume.h"
#include "revocations.h"
#include "sends.h"
#include "signing.h"
#include "status.h"
#include "typing.h"

static const char *const malformed = "a message with a malformed payload";

/* For the callback that gets the answer. */
static struct asker *asker_new(const struct peer *p, const struct ipc_message *m)
{
    struct asker *a = xcalloc(1, sizeof(*a));
    *a = asker_of(p, m);
    return a;
}

static void asker_fail(struct asker *a, enum ipc_error error)
{
    peer_fail(*a, error);
    free(a);
}

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

/* --- USERS, HISTORY --- */

/* A page in this column, and in the one behind it where the next page begins, or null. */
static void reply_page(struct asker *a, const PGresult *result, int column)
{
    bool last = PQgetisnull(result, 0, column + 1);
    uint64_t next = last ? IPC_NO_BOUND : (uint64_t)db_int(result, 0, column + 1);
    size_t n;
    const char *json = db_text(result, 0, column, &n);
    peer_reply_page(*a, json, n, next);
    free(a);
}

static void on_users(void *arg, const PGresult *result)
{
    if (!db_ok(result) || PQntuples(result) != 1)
        asker_fail(arg, db_error(result));
    else if (PQgetisnull(result, 0, 0))
        asker_fail(arg, IPC_E_UNKNOWN_USER);
    else
        reply_page(arg, result, 0);
}

static const char *serve_users(struct peer *p, const struct ipc_message *m)
{
    struct ipc_reader r = ipc_read(m);
    uint64_t after = ipc_get_u64(&r);
    uint32_t limit = ipc_get_u32(&r);
    struct text prefix = ipc_get_text(&r, IPC_MAX_NAME);
    if (!ipc_read_end(&r) || after > INT64_MAX || limit < 1 || limit > IPC_MAX_USERS ||
        !db_can_store(prefix.p, prefix.n))
        return malformed;
    struct db_params params = {0};
    db_param_int8(&params, p->user);
    db_param_text(&params, status_mode(), strlen(status_mode()));
    db_param_int8(&params, (int64_t)after);
    db_param_int4(&params, (int32_t)limit);
    db_param_text(&params, prefix.p, prefix.n);
    pool_run(p, STATEMENT_USER_LIST, &params, on_users, asker_new(p, m));
    return NULL;
}

static void on_history(void *arg, const PGresult *result)
{
    if (!db_ok(result) || PQntuples(result) != 1)
        asker_fail(arg, db_error(result));
    else if (!db_bool(result, 0, 0))
        asker_fail(arg, IPC_E_UNKNOWN_USER);
    else
        reply_page(arg, result, 1);
}

static void param_optional(struct db_params *params, uint64_t v)
{
    if (v != IPC_NO_BOUND)
        db_param_int8(params, (int64_t)v);
    else
        db_param_null(params);
}

static const char *serve_history(struct peer *p, const struct ipc_message *m)
{
    struct ipc_reader r = ipc_read(m);
    uint64_t other = ipc_get_u64(&r), before = ipc_get_u64(&r), after = ipc_get_u64(&r);
    uint32_t limit = ipc_get_u32(&r);
    if (!ipc_read_end(&r) || limit < 1 || limit > IPC_MAX_HISTORY)
        return malformed;
    struct db_params params = {0};
    db_param_int8(&params, p->user);
    db_param_int8(&params, (int64_t)other);
    param_optional(&params, before);
    param_optional(&params, after);
    db_param_int4(&params, (int32_t)limit);
    pool_run(p, STATEMENT_MESSAGE_HISTORY, &params, on_history, asker_new(p, m));
    return NULL;
}

/* --- SEND, ATTACH --- */

static const char *serve_send(struct peer *p, const struct ipc_message *m)
{
    struct ipc_reader r = ipc_read(m);
    struct sending s = {.receiver = (int64_t)ipc_get_u64(&r)};
    s.id = ipc_get_text(&r, IPC_MAX_ID);
    s.content = ipc_get_text(&r, IPC_MAX_CONTENT);
    s.again = ipc_get_u8(&r) != 0;
    /* A single text that PostgreSQL refuses would fail the whole batch. */
    if (!ipc_read_end(&r) || s.id.n == 0 || s.content.n > broker.conf.max_content ||
        !db_can_store(s.id.p, s.id.n) || !db_can_store(s.content.p, s.content.n))
        return malformed;
    sends_add(p, asker_of(p, m), &s);
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

/* --- TYPING --- */

static const char *serve_typing(struct peer *p, const struct ipc_message *m)
{
    struct ipc_reader r = ipc_read(m);
    int64_t receiver = (int64_t)ipc_get_u64(&r);
    if (!ipc_read_end(&r))
        return malformed;
    if (limits_typing(p->user, clock_ms()))
        typing_add(p->user, receiver);
    return NULL;
}

static const char *(*const handlers[IPC_TYPE_COUNT])(struct peer *, const struct ipc_message *) = {
    [IPC_HELLO] = serve_hello,
    [IPC_AUTH] = serve_auth,
    [IPC_REGISTER] = accounts_register,
    [IPC_LOGIN] = accounts_login,
    [IPC_USERS] = serve_users,
    [IPC_HISTORY] = serve_history,
    [IPC_SEND] = serve_send,
    [IPC_ATTACH] = serve_attach,
    [IPC_RESUME] = serve_resume,
    [IPC_PASSWORD] = accounts_password,
    [IPC_LOGOUT] = accounts_logout,
    [IPC_SIGN] = serve_sign,
    [IPC_ME] = me_show,
    [IPC_CHANGE_ME] = me_change,
    [IPC_TYPING] = serve_typing,
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

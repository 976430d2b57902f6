/* Making and changing conversations; see conversations.h. */
#include "conversations.h"

#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "clock.h"
#include "limits.h"
#include "pool.h"
#include "status.h"

static const char *const malformed = "a message with a malformed payload";

enum { MEMBERS_A_CHANGE = 10 }; /* that a new group may have for the price of one more change */

/* --- answers --- */

static enum ipc_error error_of(const PGresult *result)
{
    static const struct db_status known[] = {
        {"ok", IPC_E_NONE},
        {"made", IPC_E_NONE},
        {"unknown_conversation", IPC_E_UNKNOWN_CONVERSATION},
        {"unknown_user", IPC_E_UNKNOWN_USER},
        {"unknown_receiver", IPC_E_UNKNOWN_USER},
        {"unknown_sender", IPC_E_UNAUTHORIZED},
        {"unknown_member", IPC_E_UNKNOWN_MEMBER},
        {"refused", IPC_E_REFUSED},
        {"role", IPC_E_ROLE},
        {"owner", IPC_E_OWNER},
        {"too_many_members", IPC_E_TOO_MANY_MEMBERS},
        {"too_many_groups", IPC_E_TOO_MANY_GROUPS},
        {"invalid", IPC_E_INVALID},
        {NULL, IPC_E_INTERNAL},
    };
    if (!db_ok(result) || PQntuples(result) != 1)
        return db_error(result);
    return db_status(result, 0, 0, known);
}

/* A status, and what was made or changed. */
static void on_done(void *arg, const PGresult *result)
{
    struct asker *a = arg;
    enum ipc_error error = error_of(result);
    if (error) {
        asker_fail(a, error);
        return;
    }
    size_t status_size, n;
    bool made = *db_text(result, 0, 0, &status_size) == 'm';
    const char *json = db_text(result, 0, 1, &n);
    peer_reply(*a, made ? 201 : 200, json, n);
    free(a);
}

static void on_removed(void *arg, const PGresult *result)
{
    struct asker *a = arg;
    enum ipc_error error = error_of(result);
    if (error) {
        asker_fail(a, error);
        return;
    }
    peer_reply(*a, 204, "", 0);
    free(a);
}

/* --- requests --- */

/* Each change holds up all who store messages, and goes to all members. False: that was answered.
 */
static bool may_change(struct peer *p, const struct ipc_message *m, size_t cost)
{
    if (limits_group(p->user, clock_ms(), cost))
        return true;
    peer_fail(asker_of(p, m), IPC_E_GROUPS);
    return false;
}

const char *conversations_direct(struct peer *p, const struct ipc_message *m)
{
    struct ipc_reader r = ipc_read(m);
    int64_t other = (int64_t)ipc_get_u64(&r);
    if (!ipc_read_end(&r))
        return malformed;
    if (!may_change(p, m, 1))
        return NULL;
    struct db_params params = {0};
    db_param_int8(&params, p->user);
    db_param_int8(&params, other);
    status_param_mode(&params);
    pool_run(p, STATEMENT_DIRECT_MAKE, &params, on_done, asker_new(p, m));
    return NULL;
}

static void param_ids(struct db_params *params, struct text ids)
{
    db_param_array(params, DB_INT8_OID, ids.n / sizeof(int64_t));
    for (size_t at = 0; at < ids.n; at += sizeof(int64_t)) {
        int64_t id;
        memcpy(&id, ids.p + at, sizeof(id));
        db_array_int8(params, id);
    }
    db_array_end(params);
}

const char *conversations_group(struct peer *p, const struct ipc_message *m)
{
    struct ipc_reader r = ipc_read(m);
    bool full_history = ipc_get_u8(&r) != 0;
    struct text name = ipc_get_text(&r, IPC_MAX_NAME);
    struct text ids = ipc_get_text(&r, IPC_MAX_IDS);
    if (!ipc_read_end(&r) || ids.n % sizeof(int64_t) || !db_can_store(name.p, name.n))
        return malformed;
    if (!may_change(p, m, 1 + ids.n / sizeof(int64_t) / MEMBERS_A_CHANGE))
        return NULL;
    struct db_params params = {0};
    db_param_int8(&params, p->user);
    db_param_text(&params, name.p, name.n);
    param_ids(&params, ids);
    db_param_bool(&params, full_history);
    db_param_int4(&params, broker.conf.max_members);
    status_param_mode(&params);
    pool_run(p, STATEMENT_GROUP_MAKE, &params, on_done, asker_new(p, m));
    return NULL;
}

const char *conversations_group_change(struct peer *p, const struct ipc_message *m)
{
    struct ipc_reader r = ipc_read(m);
    int64_t conversation = (int64_t)ipc_get_u64(&r);
    unsigned what = ipc_get_u8(&r);
    bool full_history = ipc_get_u8(&r) != 0;
    struct text name = ipc_get_text(&r, IPC_MAX_NAME);
    if (!ipc_read_end(&r) || what == 0 ||
        what > (IPC_CHANGES_GROUP_NAME | IPC_CHANGES_GROUP_HISTORY) ||
        !db_can_store(name.p, name.n))
        return malformed;
    if (!may_change(p, m, 1))
        return NULL;
    struct db_params params = {0};
    db_param_int8(&params, p->user);
    db_param_int8(&params, conversation);
    if (what & IPC_CHANGES_GROUP_NAME)
        db_param_text(&params, name.p, name.n);
    else
        db_param_null(&params);
    if (what & IPC_CHANGES_GROUP_HISTORY)
        db_param_bool(&params, full_history);
    else
        db_param_null(&params);
    status_param_mode(&params);
    pool_run(p, STATEMENT_GROUP_CHANGE, &params, on_done, asker_new(p, m));
    return NULL;
}

struct membership_change {
    int64_t conversation, user;
    enum ipc_member what;
    const char *role;
};

static void remove_member(struct peer *p, const struct ipc_message *m,
                          const struct membership_change *c)
{
    struct db_params params = {0};
    db_param_int8(&params, p->user);
    db_param_int8(&params, c->conversation);
    db_param_int8(&params, c->user);
    pool_run(p, STATEMENT_MEMBER_REMOVE, &params, on_removed, asker_new(p, m));
}

static void put_member(struct peer *p, const struct ipc_message *m,
                       const struct membership_change *c)
{
    struct db_params params = {0};
    db_param_int8(&params, p->user);
    db_param_int8(&params, c->conversation);
    db_param_int8(&params, c->user);
    db_param_text(&params, c->role, strlen(c->role));
    if (c->what == IPC_MEMBER_ADD)
        db_param_int4(&params, broker.conf.max_members);
    status_param_mode(&params);
    pool_run(p, c->what == IPC_MEMBER_ADD ? STATEMENT_MEMBER_ADD : STATEMENT_MEMBER_CHANGE, &params,
             on_done, asker_new(p, m));
}

const char *conversations_member(struct peer *p, const struct ipc_message *m)
{
    static const char *const roles[] = {
        [IPC_IS_MEMBER] = "member", [IPC_IS_ADMIN] = "admin", [IPC_IS_OWNER] = "owner"};
    struct ipc_reader r = ipc_read(m);
    struct membership_change c = {.conversation = (int64_t)ipc_get_u64(&r)};
    c.user = (int64_t)ipc_get_u64(&r);
    unsigned what = ipc_get_u8(&r), role = ipc_get_u8(&r);
    if (!ipc_read_end(&r) || what > IPC_MEMBER_REMOVE || role > IPC_IS_OWNER ||
        (what == IPC_MEMBER_ADD && role == IPC_IS_OWNER))
        return malformed;
    c.what = what;
    c.role = roles[role];
    bool leaves = what == IPC_MEMBER_REMOVE && c.user == p->user; /* whoever put them there */
    if (!leaves && !may_change(p, m, 1))
        return NULL;
    if (what == IPC_MEMBER_REMOVE)
        remove_member(p, m, &c);
    else
        put_member(p, m, &c);
    return NULL;
}

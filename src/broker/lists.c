/* Lists; see lists.h. The database makes the JSON, and knows who may see what. */
#include "lists.h"

#include <stdlib.h>

#include "answers.h"
#include "pool.h"
#include "status.h"

static const char *const malformed = "a message with a malformed payload";

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

/* --- users --- */

/* A page; null: what it is a page of is not there. */
static void on_page(struct asker *a, const PGresult *result, enum ipc_error null)
{
    if (!db_ok(result) || PQntuples(result) != 1)
        asker_fail(a, db_error(result));
    else if (PQgetisnull(result, 0, 0))
        asker_fail(a, null);
    else
        reply_page(a, result, 0);
}

static void on_users(void *arg, const PGresult *result)
{
    on_page(arg, result, IPC_E_UNKNOWN_USER);
}

/* A page of users: those behind this one, and how many. */
struct page {
    uint64_t after;
    uint32_t limit;
};

static struct page get_page(struct ipc_reader *r)
{
    struct page page = {.after = ipc_get_u64(r)};
    page.limit = ipc_get_u32(r);
    return page;
}

static bool page_fits(const struct page *page)
{
    return page->after <= INT64_MAX && page->limit >= 1 && page->limit <= IPC_MAX_USERS;
}

static void param_page(struct db_params *params, const struct page *page)
{
    db_param_int8(params, (int64_t)page->after);
    db_param_int4(params, (int32_t)page->limit);
}

const char *lists_users(struct peer *p, const struct ipc_message *m)
{
    struct ipc_reader r = ipc_read(m);
    struct page page = get_page(&r);
    struct text prefix = ipc_get_text(&r, IPC_MAX_NAME);
    if (!ipc_read_end(&r) || !page_fits(&page) || !db_can_store(prefix.p, prefix.n))
        return malformed;
    struct db_params params = {0};
    db_param_int8(&params, p->user);
    status_param_mode(&params);
    param_page(&params, &page);
    db_param_text(&params, prefix.p, prefix.n);
    pool_run(p, STATEMENT_USER_LIST, &params, on_users, asker_new(p, m));
    return NULL;
}

const char *lists_blocks(struct peer *p, const struct ipc_message *m)
{
    struct ipc_reader r = ipc_read(m);
    struct page page = get_page(&r);
    if (!ipc_read_end(&r) || !page_fits(&page))
        return malformed;
    struct db_params params = {0};
    db_param_int8(&params, p->user);
    param_page(&params, &page);
    pool_run(p, STATEMENT_USER_BLOCKS, &params, on_users, asker_new(p, m));
    return NULL;
}

/* --- histories --- */

static void on_history(struct asker *a, const PGresult *result, enum ipc_error unknown)
{
    if (!db_ok(result) || PQntuples(result) != 1)
        asker_fail(a, db_error(result));
    else if (!db_bool(result, 0, 0))
        asker_fail(a, unknown);
    else
        reply_page(a, result, 1);
}

static void on_history_of_user(void *arg, const PGresult *result)
{
    on_history(arg, result, IPC_E_UNKNOWN_USER);
}

static void on_history_of_conversation(void *arg, const PGresult *result)
{
    on_history(arg, result, IPC_E_UNKNOWN_CONVERSATION);
}

static void param_optional(struct db_params *params, uint64_t v)
{
    if (v != IPC_NO_BOUND)
        db_param_int8(params, (int64_t)v);
    else
        db_param_null(params);
}

const char *lists_history(struct peer *p, const struct ipc_message *m)
{
    struct ipc_reader r = ipc_read(m);
    uint64_t named = ipc_get_u64(&r);
    unsigned which = ipc_get_u8(&r);
    uint64_t before = ipc_get_u64(&r), after = ipc_get_u64(&r);
    uint32_t limit = ipc_get_u32(&r);
    if (!ipc_read_end(&r) || which > IPC_NAMES_CONVERSATION || limit < 1 || limit > IPC_MAX_HISTORY)
        return malformed;
    struct db_params params = {0};
    db_param_int8(&params, p->user);
    db_param_int8(&params, (int64_t)named);
    param_optional(&params, before);
    param_optional(&params, after);
    db_param_int4(&params, (int32_t)limit);
    if (which == IPC_NAMES_USER)
        pool_run(p, STATEMENT_MESSAGE_HISTORY, &params, on_history_of_user, asker_new(p, m));
    else
        pool_run(p, STATEMENT_CONVERSATION_HISTORY, &params, on_history_of_conversation,
                 asker_new(p, m));
    return NULL;
}

/* --- conversations --- */

/* JSON; null: the user is no member. */
static void on_conversation(void *arg, const PGresult *result)
{
    answers_json(arg, result, IPC_E_UNKNOWN_CONVERSATION);
}

const char *lists_conversations(struct peer *p, const struct ipc_message *m)
{
    struct ipc_reader r = ipc_read(m);
    uint64_t before = ipc_get_u64(&r);
    uint32_t limit = ipc_get_u32(&r);
    if (!ipc_read_end(&r) || limit < 1 || limit > IPC_MAX_CONVERSATIONS)
        return malformed;
    struct db_params params = {0};
    db_param_int8(&params, p->user);
    status_param_mode(&params);
    db_param_int8(&params, before > INT64_MAX ? INT64_MAX : (int64_t)before);
    db_param_int4(&params, (int32_t)limit);
    pool_run(p, STATEMENT_CONVERSATION_LIST, &params, on_conversation, asker_new(p, m));
    return NULL;
}

const char *lists_conversation(struct peer *p, const struct ipc_message *m)
{
    struct ipc_reader r = ipc_read(m);
    int64_t conversation = (int64_t)ipc_get_u64(&r);
    if (!ipc_read_end(&r))
        return malformed;
    struct db_params params = {0};
    db_param_int8(&params, p->user);
    db_param_int8(&params, conversation);
    status_param_mode(&params);
    pool_run(p, STATEMENT_CONVERSATION_SHOW, &params, on_conversation, asker_new(p, m));
    return NULL;
}

static void on_members(void *arg, const PGresult *result)
{
    on_page(arg, result, IPC_E_UNKNOWN_CONVERSATION);
}

const char *lists_members(struct peer *p, const struct ipc_message *m)
{
    struct ipc_reader r = ipc_read(m);
    int64_t conversation = (int64_t)ipc_get_u64(&r);
    struct page page = get_page(&r);
    if (!ipc_read_end(&r) || !page_fits(&page))
        return malformed;
    struct db_params params = {0};
    db_param_int8(&params, p->user);
    db_param_int8(&params, conversation);
    status_param_mode(&params);
    param_page(&params, &page);
    pool_run(p, STATEMENT_MEMBER_LIST, &params, on_members, asker_new(p, m));
    return NULL;
}

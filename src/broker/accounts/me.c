/* What users see and change of their own account, and whom they block; see me.h. */
#include "me.h"

#include <string.h>

#include "account_request.h"
#include "clock.h"
#include "limits.h"
#include "pool.h"

static const char *const malformed = "a message with a malformed payload";

/* Answers with the account, which is in this column, and frees the request. */
static void reply_me(struct account_request *q, const PGresult *result, int column)
{
    size_t n;
    const char *json = db_text(result, 0, column, &n);
    peer_reply(q->asker, 200, json, n);
    account_request_free(q);
}

static void on_shown(void *arg, const PGresult *result)
{
    struct account_request *q = arg;
    if (!db_ok(result) || PQntuples(result) != 1)
        account_request_fail(q, db_error(result));
    else if (db_is_null(result, 0, 0))
        account_request_fail(q, IPC_E_UNAUTHORIZED); /* it was removed a moment ago */
    else
        reply_me(q, result, 0);
}

const char *me_show(struct peer *p, const struct ipc_message *m)
{
    struct db_params params = {0};
    db_param_int8(&params, p->user);
    pool_run(p, STATEMENT_USER_ME, &params, on_shown, account_request_new(p, m));
    return NULL;
}

static void on_changed(void *arg, const PGresult *result)
{
    struct account_request *q = arg;
    enum ipc_error error = account_error(result);
    if (error)
        account_request_fail(q, error);
    else
        reply_me(q, result, 1);
}

static void param_change(struct db_params *params, const char *text)
{
    if (text)
        db_param_text(params, text, strlen(text));
    else
        db_param_null(params);
}

static void change(struct account_request *q, enum ipc_check check)
{
    (void)check;
    struct db_params params = {0};
    db_param_int8(&params, q->user);
    param_change(&params, q->display_name);
    param_change(&params, q->email);
    db_param_int8(&params, q->generation);
    pool_run(peer_find(q->asker.peer), STATEMENT_USER_CHANGE, &params, on_changed, q);
}

const char *me_change(struct peer *p, const struct ipc_message *m)
{
    struct ipc_reader r = ipc_read(m);
    unsigned what = ipc_get_u8(&r);
    struct text name = ipc_get_text(&r, IPC_MAX_NAME);
    struct text email = ipc_get_text(&r, IPC_MAX_NAME);
    struct text password = ipc_get_text(&r, IPC_MAX_PASSWORD);
    if (!ipc_read_end(&r) || what == 0 || what > (IPC_CHANGES_NAME | IPC_CHANGES_EMAIL) ||
        !db_can_store(name.p, name.n) || !db_can_store(email.p, email.n))
        return malformed;
    /* The answer says whether an address has an account, as that to REGISTER does. */
    if (what & IPC_CHANGES_EMAIL && !limits_register(p->remote, clock_ms())) {
        peer_fail(asker_of(p, m), IPC_E_REGISTRATIONS);
        return NULL;
    }
    struct account_request *q = account_request_new(p, m);
    q->user = p->user;
    q->display_name = what & IPC_CHANGES_NAME ? account_copy(name) : NULL;
    q->email = what & IPC_CHANGES_EMAIL ? account_copy(email) : NULL;
    if (q->email)
        account_check_own(q, password, change);
    else
        change(q, IPC_RIGHT);
    return NULL;
}

static void on_blocked(void *arg, const PGresult *result)
{
    struct account_request *q = arg;
    enum ipc_error error = account_error(result);
    if (error) {
        account_request_fail(q, error);
        return;
    }
    peer_reply(q->asker, 204, "", 0);
    account_request_free(q);
}

const char *me_block(struct peer *p, const struct ipc_message *m)
{
    struct ipc_reader r = ipc_read(m);
    int64_t other = (int64_t)ipc_get_u64(&r);
    bool blocking = ipc_get_u8(&r) != 0;
    if (!ipc_read_end(&r))
        return malformed;
    if (!limits_block(p->user, clock_ms())) {
        peer_fail(asker_of(p, m), IPC_E_BLOCKING);
        return NULL;
    }
    struct db_params params = {0};
    db_param_int8(&params, p->user);
    db_param_int8(&params, other);
    db_param_bool(&params, blocking);
    pool_run(p, STATEMENT_USER_BLOCK, &params, on_blocked, account_request_new(p, m));
    return NULL;
}

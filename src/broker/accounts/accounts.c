/*
 * Registering, logging in, changing the password, logging out; see accounts.h.
 *
 * Each takes several steps: its turn (logins.h) but for registering, the database, an auth worker,
 * the database again. A struct account_request keeps what is needed until the last answer; the peer
 * may be gone by then.
 */
#include "accounts.h"

#include <stdlib.h>
#include <string.h>

#include "account_request.h"
#include "bearer.h"
#include "broker.h"
#include "clock.h"
#include "hashing.h"
#include "limits.h"
#include "log.h"
#include "odd_hashes.h"
#include "pool.h"
#include "revocations.h"

static const char *const malformed = "a message with a malformed payload";

/* All requests but LOGOUT end with a token and the user. */
static bool reply_token(struct account_request *q, int status)
{
    char *token = bearer_issue(q->user, q->generation, q->name);
    if (!token) {
        log_error("issuing a token failed");
        account_request_fail(q, IPC_E_INTERNAL);
        return false;
    }
    revocations_issued(q->user, q->generation);
    struct buf json = BUF_INIT;
    buf_printf(&json,
               "{\"token\":\"%s\",\"token_type\":\"Bearer\",\"expires_in\":%lld,\"user\":%s}",
               token, broker.conf.token_lifetime / 1000, q->user_json);
    peer_reply(q->asker, status, (const char *)buf_head(&json), buf_len(&json));
    explicit_bzero(token, strlen(token));
    free(token);
    buf_wipe(&json);
    return true;
}

static void reply_last(struct account_request *q, int status)
{
    if (reply_token(q, status))
        account_request_free(q);
}

/* The address that an account is made from is the first known address of its owner. */
static void welcome(struct account_request *q)
{
    const struct peer *p = peer_find(q->asker.peer);
    if (p)
        limits_succeeded(limits_account(q->name, strlen(q->name)), p->address, clock_ms());
    reply_last(q, 201);
}

static void on_registered(void *arg, const PGresult *result)
{
    struct account_request *q = arg;
    enum ipc_error error = account_error(result);
    if (error) {
        account_request_fail(q, error);
        return;
    }
    q->user_json = account_column(result, 2);
    q->user = db_int(result, 0, 1);
    q->generation = db_int(result, 0, 3);
    welcome(q);
}

static void param_registration(struct db_params *params, const struct account_request *q)
{
    db_param_text(params, q->name, strlen(q->name));
    db_param_text(params, q->email, strlen(q->email));
}

static void on_hashed(void *arg, bool done, struct text hash, enum ipc_check check)
{
    (void)check;
    struct account_request *q = arg;
    const struct peer *p = peer_find(q->asker.peer);
    if (!done || !p || hash.n == 0) {
        account_request_fail(q, done ? IPC_E_INTERNAL : IPC_E_OVERLOADED);
        return;
    }
    struct db_params params = {0};
    param_registration(&params, q);
    db_param_text(&params, hash.p, hash.n);
    pool_run(p, STATEMENT_USER_REGISTER, &params, on_registered, q);
}

static void on_available(void *arg, const PGresult *result)
{
    struct account_request *q = arg;
    enum ipc_error error = account_error(result);
    if (error) {
        account_request_fail(q, error);
        return;
    }
    struct text password = {q->password, q->password_size};
    hashing_hash(account_hashing(q), password, on_hashed, q);
}

const char *accounts_register(struct peer *p, const struct ipc_message *m)
{
    struct ipc_reader r = ipc_read(m);
    struct text name = ipc_get_text(&r, IPC_MAX_NAME);
    struct text email = ipc_get_text(&r, IPC_MAX_NAME);
    struct text password = ipc_get_text(&r, IPC_MAX_PASSWORD);
    if (!ipc_read_end(&r) || !db_can_store(name.p, name.n) || !db_can_store(email.p, email.n))
        return malformed;
    if (!limits_register(p->remote, clock_ms())) {
        peer_fail(asker_of(p, m), IPC_E_REGISTRATIONS);
        return NULL;
    }
    struct account_request *q = account_request_new(p, m);
    q->name = account_copy(name);
    q->email = account_copy(email);
    q->password = account_copy(password);
    q->password_size = password.n;
    if (!account_request_count(q)) {
        account_request_fail(q, IPC_E_OVERLOADED);
        return NULL;
    }
    /* A name that is taken must not cost a hash. */
    struct db_params params = {0};
    param_registration(&params, q);
    pool_run(p, STATEMENT_USER_AVAILABLE, &params, on_available, q);
    return NULL;
}

static void on_password(void *arg, const PGresult *result)
{
    struct account_request *q = arg;
    if (!db_ok(result)) {
        account_request_fail(q, db_error(result));
    } else if (PQntuples(result) != 1) {
        account_request_fail(q, IPC_E_CREDENTIALS); /* the tokens were revoked meanwhile */
    } else {
        struct standing s = standing_from_row(result, 0, 0);
        q->generation = s.generation;
        revocations_made(q->user, &s);
        reply_last(q, 200);
    }
}

static void on_new_hash(void *arg, bool done, struct text hash, enum ipc_check check)
{
    (void)check;
    struct account_request *q = arg;
    if (!done || hash.n == 0) {
        account_request_fail(q, done ? IPC_E_INTERNAL : IPC_E_OVERLOADED);
        return;
    }
    struct db_params params = {0};
    db_param_int8(&params, q->user);
    db_param_int8(&params, q->generation);
    db_param_text(&params, hash.p, hash.n);
    pool_run(peer_find(q->asker.peer), STATEMENT_USER_PASSWORD, &params, on_password, q);
}

static void hash_new_password(struct account_request *q, enum ipc_check check)
{
    (void)check;
    struct text password = {q->new_password, q->new_password_size};
    hashing_hash(account_hashing(q), password, on_new_hash, q);
}

static void on_rehashed(void *arg, const PGresult *result)
{
    if (!db_ok(result))
        log_warn("storing a new hash of the password failed; the next login tries again");
    account_request_free(arg);
}

static void on_renewed(void *arg, bool done, struct text hash, enum ipc_check check)
{
    (void)check;
    struct account_request *q = arg;
    if (!done || hash.n == 0) { /* overloaded: try at the next login */
        account_request_free(q);
        return;
    }
    struct db_params params = {0};
    db_param_int8(&params, q->user);
    db_param_text(&params, q->old_hash, strlen(q->old_hash));
    db_param_text(&params, hash.p, hash.n);
    pool_run(peer_find(q->asker.peer), STATEMENT_USER_REHASH, &params, on_rehashed, q);
}

/* Replaces a hash of another cost or form with one like new ones, as its account's work. The client
 * has its answer already and may go; other logins of this source wait until this is done. */
static void renew_hash(struct account_request *q)
{
    struct text password = {q->password, q->password_size};
    struct hashing_client client = {.turn.key = (uint64_t)q->user};
    hashing_hash(client, password, on_renewed, q);
}

static void on_right_login(struct account_request *q, enum ipc_check check)
{
    if (check == IPC_RIGHT)
        reply_last(q, 200);
    else if (reply_token(q, 200))
        renew_hash(q);
}

const char *accounts_login(struct peer *p, const struct ipc_message *m)
{
    struct ipc_reader r = ipc_read(m);
    struct text name = ipc_get_text(&r, IPC_MAX_NAME);
    struct text password = ipc_get_text(&r, IPC_MAX_PASSWORD);
    if (!ipc_read_end(&r) || !db_can_store(name.p, name.n))
        return malformed;
    struct account_request *q = account_request_new(p, m);
    q->name = account_copy(name);
    account_check_login(q, password, on_right_login);
    return NULL;
}

const char *accounts_password(struct peer *p, const struct ipc_message *m)
{
    struct ipc_reader r = ipc_read(m);
    struct text password = ipc_get_text(&r, IPC_MAX_PASSWORD);
    struct text new_password = ipc_get_text(&r, IPC_MAX_PASSWORD);
    if (!ipc_read_end(&r))
        return malformed;
    struct account_request *q = account_request_new(p, m);
    q->user = p->user;
    q->new_password = account_copy(new_password);
    q->new_password_size = new_password.n;
    account_check_own(q, password, hash_new_password);
    return NULL;
}

static void on_logged_out(void *arg, const PGresult *result)
{
    struct account_request *q = arg;
    if (!db_ok(result)) {
        account_request_fail(q, db_error(result));
        return;
    }
    if (PQntuples(result) == 1) {
        struct standing s = standing_from_row(result, 0, 0);
        revocations_made(q->user, &s);
    }
    peer_reply(q->asker, 204, "", 0);
    account_request_free(q);
}

const char *accounts_logout(struct peer *p, const struct ipc_message *m)
{
    struct account_request *q = account_request_new(p, m);
    q->user = p->user;
    struct db_params params = {0};
    db_param_int8(&params, q->user);
    pool_run(p, STATEMENT_USER_LOGOUT, &params, on_logged_out, q);
    return NULL;
}

void accounts_free(void)
{
    odd_hashes_free();
    account_requests_free();
}

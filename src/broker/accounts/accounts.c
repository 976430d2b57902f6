/*
 * Registering, logging in, changing the password, logging out; see accounts.h.
 *
 * Each takes several steps: its turn (logins.h) but for registering, the database, an auth worker,
 * the database again. A struct account_request keeps what is needed until the last answer; the peer
 * may be gone by then.
 */
#include "accounts.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bearer.h"
#include "broker.h"
#include "clock.h"
#include "hashing.h"
#include "limits.h"
#include "log.h"
#include "logins.h"
#include "odd_hashes.h"
#include "pool.h"
#include "revocations.h"
#include "tally.h"

static struct tally registering; /* by address: registrations under way */

static const char *const malformed = "a message with a malformed payload";

struct account_request {
    struct asker asker;
    uint64_t address;   /* where it comes from */
    int64_t user;       /* whose password is compared, and who gets the token */
    int64_t generation; /* of this user's tokens, read together with the hash */
    bool disabled;
    bool registers; /* counted in registering */
    struct login login;
    enum verdict verdict;
    char *name;         /* owned */
    char *email;        /* owned */
    char *password;     /* owned, wiped */
    char *new_password; /* owned, wiped */
    size_t password_size, new_password_size;
    char *old_hash;  /* owned; what the password was compared with */
    char *user_json; /* owned */
};

static struct account_request *request_new(const struct peer *p, const struct ipc_message *m)
{
    struct account_request *q = xcalloc(1, sizeof(*q));
    *q = (struct account_request){.asker = asker_of(p, m), .address = p->address};
    return q;
}

static void request_free(struct account_request *q)
{
    logins_leave(&q->login, q->verdict);
    if (q->registers)
        tally_drop(&registering, q->address);
    if (q->password)
        explicit_bzero(q->password, q->password_size);
    if (q->new_password)
        explicit_bzero(q->new_password, q->new_password_size);
    free(q->name);
    free(q->email);
    free(q->password);
    free(q->new_password);
    free(q->old_hash);
    free(q->user_json);
    free(q);
}

static void request_fail(struct account_request *q, enum ipc_error error)
{
    peer_fail(q->asker, error);
    request_free(q);
}

static char *copy_text(struct text t)
{
    return xstrndup(t.p, t.n);
}

/* Strangers take turns by address. A new password is its account's work. A login from where its
 * user has logged in before goes first. */
static struct hashing_client client_of(const struct account_request *q)
{
    bool of_account = q->asker.type == IPC_PASSWORD;
    return (struct hashing_client){
        .turn = {.key = of_account ? (uint64_t)q->user : q->address,
                 .urgent = q->asker.type == IPC_LOGIN && logins_known(&q->login)},
        .peer = q->asker.peer};
}

/* All requests but LOGOUT end with a token and the user. */
static bool reply_token(struct account_request *q, int status)
{
    char *token = bearer_issue(q->user, q->generation, q->name);
    if (!token) {
        log_error("issuing a token failed");
        request_fail(q, IPC_E_INTERNAL);
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
        request_free(q);
}

static char *copy_column(const PGresult *result, int column)
{
    size_t n;
    const char *p = db_text(result, 0, column, &n);
    return xstrndup(p, n);
}

/* The address that an account is made from is the first known address of its owner. */
static void welcome(struct account_request *q)
{
    const struct peer *p = peer_find(q->asker.peer);
    if (p)
        limits_succeeded(limits_account(q->name, strlen(q->name)), p->address, clock_ms());
    reply_last(q, 201);
}

/* What the database says of a name and an address. */
static enum ipc_error registration_error(const PGresult *result)
{
    if (!db_ok(result) || PQntuples(result) != 1)
        return db_error(result);
    char *status = copy_column(result, 0);
    enum ipc_error error = IPC_E_INVALID;
    if (strcmp(status, "ok") == 0)
        error = IPC_E_NONE;
    else if (strcmp(status, "username_taken") == 0)
        error = IPC_E_USERNAME_TAKEN;
    else if (strcmp(status, "email_taken") == 0)
        error = IPC_E_EMAIL_TAKEN;
    free(status);
    return error;
}

static void on_registered(void *arg, const PGresult *result)
{
    struct account_request *q = arg;
    enum ipc_error error = registration_error(result);
    if (error) {
        request_fail(q, error);
        return;
    }
    q->user_json = copy_column(result, 2);
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
        request_fail(q, done ? IPC_E_INTERNAL : IPC_E_OVERLOADED);
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
    enum ipc_error error = registration_error(result);
    if (error) {
        request_fail(q, error);
        return;
    }
    struct text password = {q->password, q->password_size};
    hashing_hash(client_of(q), password, on_hashed, q);
}

/* False if this address has more under way than auth workers and their queue would take: what the
 * database is asked first must not make others wait there. */
static bool count_registration(struct account_request *q)
{
    int64_t most = broker.conf.auth_workers + broker.conf.auth_queue;
    q->registers = tally_add(&registering, q->address, most);
    return q->registers;
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
    struct account_request *q = request_new(p, m);
    q->name = copy_text(name);
    q->email = copy_text(email);
    q->password = copy_text(password);
    q->password_size = password.n;
    if (!count_registration(q)) {
        request_fail(q, IPC_E_OVERLOADED);
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
        request_fail(q, db_error(result));
    } else if (PQntuples(result) != 1) {
        request_fail(q, IPC_E_CREDENTIALS); /* the tokens were revoked meanwhile */
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
        request_fail(q, done ? IPC_E_INTERNAL : IPC_E_OVERLOADED);
        return;
    }
    struct db_params params = {0};
    db_param_int8(&params, q->user);
    db_param_int8(&params, q->generation);
    db_param_text(&params, hash.p, hash.n);
    pool_run(peer_find(q->asker.peer), STATEMENT_USER_PASSWORD, &params, on_password, q);
}

static void hash_new_password(struct account_request *q)
{
    struct text password = {q->new_password, q->new_password_size};
    hashing_hash(client_of(q), password, on_new_hash, q);
}

static void on_rehashed(void *arg, const PGresult *result)
{
    if (!db_ok(result))
        log_warn("storing a new hash of the password failed; the next login tries again");
    request_free(arg);
}

static void on_renewed(void *arg, bool done, struct text hash, enum ipc_check check)
{
    (void)check;
    struct account_request *q = arg;
    if (!done || hash.n == 0) { /* overloaded: try at the next login */
        request_free(q);
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

static void on_verified(void *arg, bool done, struct text hash, enum ipc_check check)
{
    (void)hash;
    struct account_request *q = arg;
    if (!done) {
        request_fail(q, IPC_E_OVERLOADED);
        return;
    }
    if (q->user)
        odd_hashes_tell(q->user, q->name, check);
    bool right = check == IPC_RIGHT || check == IPC_STALE;
    q->verdict = right && q->user ? LOGIN_RIGHT : LOGIN_WRONG;
    if (q->verdict == LOGIN_WRONG)
        request_fail(q, IPC_E_CREDENTIALS);
    else if (q->disabled)
        request_fail(q, IPC_E_DISABLED);
    else if (q->asker.type == IPC_PASSWORD)
        hash_new_password(q);
    else if (check == IPC_RIGHT)
        reply_last(q, 200);
    else if (reply_token(q, 200))
        renew_hash(q);
}

/* An unknown user takes the same path with an empty hash, so that answer and timing are the
 * same. */
static void on_credentials(void *arg, const PGresult *result)
{
    struct account_request *q = arg;
    if (!db_ok(result)) {
        request_fail(q, db_error(result));
        return;
    }
    struct text hash = {"", 0};
    int work = 0;
    q->user = 0;
    if (PQntuples(result) == 1) {
        work = (int)db_int(result, 0, 0);
        q->user = db_int(result, 0, 1);
        hash.p = db_text(result, 0, 3, &hash.n);
    }
    if (q->user) {
        free(q->name);
        q->name = copy_column(result, 2);
        q->old_hash = copy_text(hash);
        q->user_json = copy_column(result, 4);
        q->generation = db_int(result, 0, 5);
        q->disabled = db_bool(result, 0, 6);
    }
    struct text password = {q->password, q->password_size};
    hashing_verify(client_of(q), password, hash, work, on_verified, q);
}

/* Its turn has come. If the peer has left, no password is checked. */
static void on_turn(void *arg, enum ipc_error error)
{
    struct account_request *q = arg;
    if (error || !peer_find(q->asker.peer)) {
        request_fail(q, error);
        return;
    }
    struct db_params params = {0};
    if (q->asker.type == IPC_PASSWORD) {
        db_param_int8(&params, q->user);
        pool_run(peer_find(q->asker.peer), STATEMENT_USER_CREDENTIALS_BY_ID, &params,
                 on_credentials, q);
    } else {
        db_param_text(&params, q->name, strlen(q->name));
        db_param_int4(&params, conf_bcrypt_most(&broker.conf));
        pool_run(peer_find(q->asker.peer), STATEMENT_USER_CREDENTIALS, &params, on_credentials, q);
    }
}

static void queue_login(struct account_request *q, struct text account)
{
    enum ipc_error error = logins_enter(&q->login, account, peer_find(q->asker.peer), on_turn, q);
    if (error)
        request_fail(q, error);
}

const char *accounts_login(struct peer *p, const struct ipc_message *m)
{
    struct ipc_reader r = ipc_read(m);
    struct text name = ipc_get_text(&r, IPC_MAX_NAME);
    struct text password = ipc_get_text(&r, IPC_MAX_PASSWORD);
    if (!ipc_read_end(&r) || !db_can_store(name.p, name.n))
        return malformed;
    struct account_request *q = request_new(p, m);
    q->name = copy_text(name);
    q->password = copy_text(password);
    q->password_size = password.n;
    /* Exactly the text that the database is asked for. */
    queue_login(q, (struct text){q->name, strlen(q->name)});
    return NULL;
}

const char *accounts_password(struct peer *p, const struct ipc_message *m)
{
    struct ipc_reader r = ipc_read(m);
    struct text password = ipc_get_text(&r, IPC_MAX_PASSWORD);
    struct text new_password = ipc_get_text(&r, IPC_MAX_PASSWORD);
    if (!ipc_read_end(&r))
        return malformed;
    struct account_request *q = request_new(p, m);
    q->password = copy_text(password);
    q->password_size = password.n;
    q->new_password = copy_text(new_password);
    q->new_password_size = new_password.n;
    /* A stolen token must not let anyone guess faster. No username looks like this, so a stranger's
     * failed logins do not delay the user here. */
    q->user = p->user;
    char account[24];
    int n = snprintf(account, sizeof(account), "#%lld", (long long)p->user);
    queue_login(q, (struct text){account, (size_t)n});
    return NULL;
}

static void on_logged_out(void *arg, const PGresult *result)
{
    struct account_request *q = arg;
    if (!db_ok(result)) {
        request_fail(q, db_error(result));
        return;
    }
    if (PQntuples(result) == 1) {
        struct standing s = standing_from_row(result, 0, 0);
        revocations_made(q->user, &s);
    }
    peer_reply(q->asker, 204, "", 0);
    request_free(q);
}

const char *accounts_logout(struct peer *p, const struct ipc_message *m)
{
    struct account_request *q = request_new(p, m);
    q->user = p->user;
    struct db_params params = {0};
    db_param_int8(&params, q->user);
    pool_run(p, STATEMENT_USER_LOGOUT, &params, on_logged_out, q);
    return NULL;
}

void accounts_free(void)
{
    odd_hashes_free();
    tally_free(&registering);
}

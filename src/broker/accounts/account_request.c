/* Requests about accounts; see account_request.h. */
#include "account_request.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "broker.h"
#include "log.h"
#include "odd_hashes.h"
#include "pool.h"
#include "tally.h"

static struct tally registering; /* by address: registrations under way */

struct account_request *account_request_new(const struct peer *p, const struct ipc_message *m)
{
    struct account_request *q = xcalloc(1, sizeof(*q));
    *q = (struct account_request){.asker = asker_of(p, m), .address = p->address};
    return q;
}

void account_request_free(struct account_request *q)
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
    free(q->display_name);
    free(q->password);
    free(q->new_password);
    free(q->old_hash);
    free(q->user_json);
    free(q);
}

void account_request_fail(struct account_request *q, enum ipc_error error)
{
    peer_fail(q->asker, error);
    account_request_free(q);
}

bool account_request_count(struct account_request *q)
{
    int64_t most = broker.conf.auth_workers + broker.conf.auth_queue;
    q->registers = tally_add(&registering, q->address, most);
    return q->registers;
}

char *account_copy(struct text t)
{
    return xstrndup(t.p, t.n);
}

char *account_column(const PGresult *result, int column)
{
    size_t n;
    const char *p = db_text(result, 0, column, &n);
    return xstrndup(p, n);
}

enum ipc_error account_error(const PGresult *result)
{
    static const struct db_status known[] = {
        {"ok", IPC_E_NONE},
        {"username_taken", IPC_E_USERNAME_TAKEN},
        {"email_taken", IPC_E_EMAIL_TAKEN},
        {"stale", IPC_E_CREDENTIALS},
        {"gone", IPC_E_UNAUTHORIZED},
        {"unknown_user", IPC_E_UNKNOWN_USER},
        {"oneself", IPC_E_ONESELF},
        {"too_many_blocks", IPC_E_TOO_MANY_BLOCKS},
        {NULL, IPC_E_INVALID},
    };
    if (!db_ok(result) || PQntuples(result) != 1)
        return db_error(result);
    return db_status(result, 0, 0, known);
}

/* --- comparing the password --- */

/* Does it act for the user who is signed in, rather than for whoever knows a name? */
static bool of_account(const struct account_request *q)
{
    return q->asker.type != IPC_LOGIN && q->asker.type != IPC_REGISTER;
}

/* Strangers take turns by address. What a user who is signed in asks for is the account's work. A
 * login from where its user has logged in before goes first. */
struct hashing_client account_hashing(const struct account_request *q)
{
    return (struct hashing_client){
        .turn = {.key = of_account(q) ? (uint64_t)q->user : q->address,
                 .urgent = q->asker.type == IPC_LOGIN && logins_known(&q->login)},
        .peer = q->asker.peer};
}

static void on_verified(void *arg, bool done, struct text hash, enum ipc_check check)
{
    (void)hash;
    struct account_request *q = arg;
    if (!done) {
        account_request_fail(q, IPC_E_OVERLOADED);
        return;
    }
    if (q->user)
        odd_hashes_tell(q->user, q->name, check);
    bool right = check == IPC_RIGHT || check == IPC_STALE;
    q->verdict = right && q->user ? LOGIN_RIGHT : LOGIN_WRONG;
    if (q->verdict == LOGIN_WRONG)
        account_request_fail(q, IPC_E_CREDENTIALS);
    else if (q->disabled)
        account_request_fail(q, IPC_E_DISABLED);
    else
        q->right(q, check);
}

/* An unknown user takes the same path with an empty hash, so that answer and timing are the
 * same. */
static void on_credentials(void *arg, const PGresult *result)
{
    struct account_request *q = arg;
    if (!db_ok(result)) {
        account_request_fail(q, db_error(result));
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
        q->name = account_column(result, 2);
        q->old_hash = account_copy(hash);
        q->user_json = account_column(result, 4);
        q->generation = db_int(result, 0, 5);
        q->disabled = db_bool(result, 0, 6);
    }
    struct text password = {q->password, q->password_size};
    hashing_verify(account_hashing(q), password, hash, work, on_verified, q);
}

/* Its turn has come. If the peer has left, no password is checked. */
static void on_turn(void *arg, enum ipc_error error)
{
    struct account_request *q = arg;
    if (error || !peer_find(q->asker.peer)) {
        account_request_fail(q, error);
        return;
    }
    struct db_params params = {0};
    enum statement statement = STATEMENT_USER_CREDENTIALS;
    if (of_account(q)) {
        db_param_int8(&params, q->user);
        statement = STATEMENT_USER_CREDENTIALS_BY_ID;
    } else {
        db_param_text(&params, q->name, strlen(q->name));
        db_param_int4(&params, conf_bcrypt_most(&broker.conf));
    }
    pool_run(peer_find(q->asker.peer), statement, &params, on_credentials, q);
}

static void queue(struct account_request *q, struct text account, struct text password)
{
    q->password = account_copy(password);
    q->password_size = password.n;
    enum ipc_error error = logins_enter(&q->login, account, peer_find(q->asker.peer), on_turn, q);
    if (error)
        account_request_fail(q, error);
}

void account_check_login(struct account_request *q, struct text password,
                         void (*right)(struct account_request *q, enum ipc_check check))
{
    q->right = right;
    /* Exactly the text that the database is asked for. */
    queue(q, (struct text){q->name, strlen(q->name)}, password);
}

/* A stolen token must not let anyone guess faster. No username looks like this, so a stranger's
 * failed logins do not delay the user here. */
void account_check_own(struct account_request *q, struct text password,
                       void (*right)(struct account_request *q, enum ipc_check check))
{
    char account[24];
    int n = snprintf(account, sizeof(account), "#%lld", (long long)q->user);
    q->right = right;
    queue(q, (struct text){account, (size_t)n}, password);
}

void account_requests_free(void)
{
    tally_free(&registering);
}

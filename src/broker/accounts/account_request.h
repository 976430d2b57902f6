/*
 * A request about an account: what it keeps until its last answer, and how its password is
 * compared.
 *
 * Called by what serves the requests (accounts.c, me.c).
 */
#ifndef ACCOUNT_REQUEST_H
#define ACCOUNT_REQUEST_H

#include "db.h"
#include "hashing.h"
#include "logins.h"
#include "peer.h"

struct account_request {
    struct asker asker;
    uint64_t address;   /* where it comes from */
    int64_t user;       /* whose password is compared, and who gets the token */
    int64_t generation; /* of this user's tokens, read together with the hash */
    bool disabled;
    bool registers; /* counted as a registration under way */
    struct login login;
    enum verdict verdict;
    void (*right)(struct account_request *q, enum ipc_check check);
    char *name;         /* owned */
    char *email;        /* owned */
    char *display_name; /* owned */
    char *password;     /* owned, wiped */
    char *new_password; /* owned, wiped */
    size_t password_size, new_password_size;
    char *old_hash;  /* owned; what the password was compared with */
    char *user_json; /* owned */
};

struct account_request *account_request_new(const struct peer *p, const struct ipc_message *m);
void account_request_free(struct account_request *q);

/* Answers with this error, and frees the request. */
void account_request_fail(struct account_request *q, enum ipc_error error);

/* False if its address has more registrations under way than auth workers and their queue would
 * take: what the database is asked first must not make others wait there. */
bool account_request_count(struct account_request *q);

/* Compares this password with that of the account called q->name, when its turn comes, and calls
 * right if it is the same and the account is not disabled; then check is IPC_RIGHT or IPC_STALE.
 * Otherwise the request fails. */
void account_check_login(struct account_request *q, struct text password,
                         void (*right)(struct account_request *q, enum ipc_check check));

/* The same with the password of q->user, who is signed in. */
void account_check_own(struct account_request *q, struct text password,
                       void (*right)(struct account_request *q, enum ipc_check check));

/* Whose turn its work for the auth workers is. */
struct hashing_client account_hashing(const struct account_request *q);

/* Copies, for free(). */
char *account_copy(struct text t);
char *account_column(const PGresult *result, int column);

/* What a statement says in its first column of what it was to do, "ok" or why not. */
enum ipc_error account_error(const PGresult *result);

void account_requests_free(void);

#endif

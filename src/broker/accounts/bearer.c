/* Bearer tokens; see bearer.h. */
#include "bearer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "broker.h"
#include "log.h"
#include "pool.h"
#include "repeats.h"
#include "revocations.h"
#include "token.h"

static struct token_keys keys;

/* Tells an operator who changed the key when the old one can go. A broker that starts later logs a
 * later time, which is safe. */
static void tell_of_old_key(void)
{
    time_t end = time(NULL) + (time_t)(broker.conf.token_lifetime / 1000);
    struct tm tm;
    char text[32];
    strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&end, &tm));
    log_info("tokens of jwt_old_secret are accepted; if no chatd signs with it any more, none is "
             "left after %s, and it can be removed",
             text);
}

void bearer_init(void)
{
    const struct conf *c = &broker.conf;
    token_keys_add_secret(&keys, c->jwt_secret);
    if (*c->jwt_old_secret) {
        token_keys_add_secret(&keys, c->jwt_old_secret);
        tell_of_old_key();
    }
    token_keys_add_public(&keys, c->jwt_public_key);
    keys.issuer = c->jwt_issuer;
    keys.audience = c->jwt_audience;
}

void bearer_free(void)
{
    token_keys_free(&keys);
}

char *bearer_issue(int64_t user, int64_t generation, const char *name)
{
    return token_issue(&keys, user, generation, name, time(NULL),
                       broker.conf.token_lifetime / 1000);
}

/* A token that waits for the database's answer. */
struct claim {
    struct asker asker;
    struct token token;
};

static void refuse_token(const struct claim *c, enum ipc_error error, const char *why)
{
    const struct peer *p = peer_find(c->asker.peer);
    if (p) {
        const struct log_session session = peer_session(p);
        repeats_about(&session, LOG_L_INFO, &p->client, "session %d: token refused: %s", p->pid,
                      why);
    }
    peer_fail(c->asker, error);
}

static void bind_peer(struct peer *p, const struct claim *c)
{
    const struct token *t = &c->token;
    p->user = t->user;
    p->proof = t->proof;
    snprintf(p->name, sizeof(p->name), "%.*s", USERNAME_MAX, t->name);
    if (p->state == IPC_IS_NEW)
        p->state = IPC_IS_BOUND;
    peer_answering(c->asker);
    struct buf *out = &p->channel.out;
    size_t begin = ipc_begin(out, IPC_AUTHED, c->asker.seq);
    ipc_put_u64(out, (uint64_t)t->user);
    ipc_put_text(out, t->name, strlen(t->name));
    ipc_put_u64(out, (uint64_t)t->expires);
    ipc_end(out, begin);
    peer_flush(p);
}

/* Decides by what is known here, which is enough, or as recent as the database's answer. */
static void settle(const struct claim *c)
{
    const struct standing *s = revocations_of(c->token.user);
    struct peer *p = peer_find(c->asker.peer);
    enum ipc_error error = s ? standing_judge(s, &c->token.proof) : IPC_E_NONE;
    if (error)
        refuse_token(c, error,
                     error == IPC_E_DISABLED ? "the account is disabled" : "it was revoked");
    else if (p && p->user && p->user != c->token.user)
        refuse_token(c, IPC_E_OTHER_USER, "it is of another user than the one before");
    else if (p)
        bind_peer(p, c);
}

/* The token must pass both the row and what is known here: the row may be older than what a bell
 * brought meanwhile, or newer than what the next one will bring. */
static void on_standing(void *arg, const PGresult *result)
{
    struct claim *c = arg;
    if (!db_ok(result)) {
        peer_fail(c->asker, db_error(result));
    } else if (PQntuples(result) != 1) {
        refuse_token(c, IPC_E_UNAUTHORIZED, "there is no such user");
    } else {
        struct standing s = standing_from_row(result, 0, 0);
        enum ipc_error error = standing_judge(&s, &c->token.proof);
        revocations_learn(c->token.user, &s);
        if (error)
            refuse_token(c, error, "it is void, says the database");
        else
            settle(c);
    }
    free(c);
}

static void ask_database(const struct claim *c)
{
    struct claim *copy = xcalloc(1, sizeof(*copy));
    *copy = *c;
    struct db_params params = {0};
    db_param_int8(&params, c->token.user);
    pool_run(peer_find(c->asker.peer), STATEMENT_USER_STANDING, &params, on_standing, copy);
}

void bearer_prove(struct asker asker, struct text text)
{
    struct claim c = {.asker = asker};
    const char *why;
    if (!token_verify(&keys, text.p, text.n, time(NULL), &c.token, &why)) {
        refuse_token(&c, IPC_E_UNAUTHORIZED, why);
        return;
    }
    if (revocations_know(c.token.user, &c.token.proof))
        settle(&c);
    else
        ask_database(&c);
}

/* Auth frames; see signin.h. */
#include "signin.h"

#include "clock.h"
#include "close_code.h"
#include "live_link.h"
#include "live_put.h"
#include "log.h"

/* A token usually lasts for hours: frequent renewals would only load the broker. */
static const struct bucket_rate renewals = {.count = 20, .period = 60000};

void signin_begin(struct live *l)
{
    l->channel = CHANNEL_NONE;
    l->sign_in_by = clock_ms() + l->conf->header_timeout;
}

bool signin_waits(const struct live *l)
{
    return l->channel == CHANNEL_NONE && !l->close_by;
}

/* Ends the connection of a client that is not let in, and ignores whatever else it sends. */
static void end(struct live *l, int code, const char *reason)
{
    live_goodbye(l, code, reason);
    l->last_word = true;
}

void signin_miss(struct live *l)
{
    end(l, 4401, "not signed in: the first message must be an auth frame with a token");
}

/* AUTH has no room for a longer one. */
static bool fits(struct live *l, const struct chat_frame *f)
{
    if (f->token.n <= IPC_MAX_TOKEN)
        return true;
    live_put_failure(l, f->id, IPC_E_UNAUTHORIZED);
    return false;
}

static void sign_in(struct live *l, const struct chat_frame *f)
{
    buf_append(&l->token, f->token.p, f->token.n);
    buf_append(&l->auth_id, f->id.p, f->id.n);
    l->sign_in_by = clock_ms() + l->conf->request_timeout;
    live_link_prove(l);
}

static void renew(struct live *l, const struct chat_frame *f)
{
    if (buf_len(&l->new_token) > 0) {
        live_put_error(l, f->id, "bad_state", false,
                       "Another token is being looked at; wait for the answer");
        return;
    }
    if (!bucket_take(&l->renewed, renewals, clock_ms(), 1)) {
        live_put_error(l, f->id, "too_many", true,
                       "You renew your token too often; try again in some seconds");
        return;
    }
    buf_append(&l->new_token, f->token.p, f->token.n);
    buf_append(&l->auth_id, f->id.p, f->id.n);
    if (l->channel == CHANNEL_READY)
        live_link_renew(l);
}

void signin_frame(struct live *l, const struct chat_frame *f)
{
    if (l->close_by || !fits(l, f))
        return;
    if (signin_waits(l))
        sign_in(l, f);
    else
        renew(l, f);
}

void signin_attached(struct live *l)
{
    l->sign_in_by = 0;
    l->since = l->ask->cursor.change;
    live_put_authenticated(l);
    buf_free(&l->auth_id);
    if (l->next->start == FROM_NOW_TOLD)
        live_put_resumed(l, &(struct buf)BUF_INIT, true);
}

void signin_refused(struct live *l, enum ipc_error error)
{
    const struct ipc_failure *f = ipc_failure(error);
    end(l, close_code_of(f->status), f->text);
}

static void end_renewal(struct live *l)
{
    buf_wipe(&l->new_token);
    buf_free(&l->auth_id);
}

/* The broker lets no channel change its user. Check it again: otherwise this client would get what
 * is meant for another. */
void signin_renewed(struct live *l, const struct ipc_message *authed)
{
    int64_t user = l->ask->user, expires = l->ask->expires;
    if (!ask_take_authed(l->ask, authed) || l->ask->user != user) {
        log_error("the broker answered a renewal for user %lld with another", (long long)user);
        l->ask->expires = expires;
        signin_kept(l, IPC_E_INTERNAL);
        live_link_lose(l);
        return;
    }
    buf_wipe(&l->token);
    buf_append(&l->token, buf_head(&l->new_token), buf_len(&l->new_token));
    live_put_authenticated(l);
    end_renewal(l);
}

void signin_kept(struct live *l, enum ipc_error error)
{
    live_put_failure(l, buf_text(&l->auth_id), error);
    end_renewal(l);
}

void signin_check_clock(struct live *l, int64_t now)
{
    if (!l->sign_in_by || now < l->sign_in_by || l->close_by)
        return;
    if (signin_waits(l))
        end(l, 4408, "no auth frame has come within header_timeout");
    else
        signin_refused(l, IPC_E_UNAVAILABLE);
}

void signin_free(struct live *l)
{
    end_renewal(l);
}

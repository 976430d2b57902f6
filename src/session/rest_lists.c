/* Lists in pages; see rest_lists.h. */
#include "rest_lists.h"

#include <stdio.h>
#include <string.h>

#include "backoff.h"
#include "clock.h"
#include "rest_body.h"
#include "rest_target.h"
#include "username.h"

enum { DEFAULT_HISTORY = 50, DEFAULT_USERS = 100 };

/* --- GET /messages/:userId, /conversations/:id/messages --- */

struct history {
    enum ipc_named which;
    uint64_t named, before, after, limit;
};

static const char *read_history(const struct exchange *x, struct history *h)
{
    const struct bound bounds[] = {
        {"before", &h->before, 1, INT64_MAX, "\"before\" must be a message id"},
        {"after", &h->after, 0, INT64_MAX, "\"after\" must be a message id, or 0"},
        {"limit", &h->limit, 1, IPC_MAX_HISTORY, "\"limit\" must be a number from 1 to 100"},
    };
    const char *wrong = rest_path_named(x, &h->named);
    return wrong ? wrong : rest_read_bounds(x, bounds, sizeof(bounds) / sizeof(bounds[0]));
}

/* The reference is relative to the request's own (RFC 3986 section 5.2), so that it holds behind a
 * proxy with other paths, too. */
static void link_history(struct exchange *x, const struct history *h, uint64_t next)
{
    bool forward = h->before == IPC_NO_BOUND && h->after != IPC_NO_BOUND;
    char after[32] = "";
    if (!forward && h->after != IPC_NO_BOUND)
        snprintf(after, sizeof(after), "after=%llu&", (unsigned long long)h->after);
    snprintf(x->link, sizeof(x->link), "<?%s%s=%llu&limit=%llu>; rel=\"next\"", after,
             forward ? "after" : "before", (unsigned long long)next, (unsigned long long)h->limit);
}

static void ask_history(struct exchange *x, const struct history *h)
{
    struct buf *out = &x->ask->channel.out;
    size_t begin = ask_begin(x->ask, IPC_HISTORY);
    ipc_put_u64(out, h->named);
    ipc_put_u8(out, (uint8_t)h->which);
    ipc_put_u64(out, h->before);
    ipc_put_u64(out, h->after);
    ipc_put_u32(out, (uint32_t)h->limit);
    struct rest_reply r;
    enum ipc_error error = rest_take_reply(x, begin, &r);
    if (error) {
        exchange_failure(x, error);
        return;
    }
    if (r.next != IPC_NO_BOUND)
        link_history(x, h, r.next);
    rest_pass_on(x, &r);
}

static void serve_history(struct exchange *x, enum ipc_named which)
{
    struct history h = {which, 0, IPC_NO_BOUND, IPC_NO_BOUND, DEFAULT_HISTORY};
    if (!exchange_authenticated(x))
        return;
    const char *wrong = read_history(x, &h);
    if (wrong)
        exchange_error(x, 400, wrong);
    else
        ask_history(x, &h);
}

void rest_history(struct exchange *x)
{
    serve_history(x, IPC_NAMES_USER);
}

void rest_conversation_history(struct exchange *x)
{
    serve_history(x, IPC_NAMES_CONVERSATION);
}

/* --- GET /users --- */

struct users {
    uint64_t after, limit;
    char prefix[USERNAME_MAX + 1]; /* how the names begin; empty: any */
};

static enum ipc_error ask_users(struct exchange *x, const struct users *u, struct rest_reply *r)
{
    struct buf *out = &x->ask->channel.out;
    size_t begin = ask_begin(x->ask, IPC_USERS);
    ipc_put_u64(out, u->after);
    ipc_put_u32(out, (uint32_t)u->limit);
    ipc_put_text(out, u->prefix, strlen(u->prefix));
    return rest_take_reply(x, begin, r);
}

static bool in_names(char c)
{
    return c && strchr(USERNAME_CHARS, c);
}

/* Reads q=. False if no name can begin so. */
static bool read_prefix(struct text t, char *prefix)
{
    size_t n = 0;
    while (t.p && t.n > 0) {
        char c = rest_take_character(&t);
        if (n == USERNAME_MAX || !in_names(c))
            return false;
        prefix[n++] = c;
    }
    prefix[n] = '\0';
    return true;
}

/* False when what is wrong was answered. */
static bool read_page(struct exchange *x, struct users *u, uint64_t limit)
{
    u->limit = limit;
    const struct bound bounds[] = {
        {"after", &u->after, 0, INT64_MAX, "\"after\" must be a user id, or 0"},
        {"limit", &u->limit, 1, IPC_MAX_USERS, "\"limit\" must be a number from 1 to 1000"},
    };
    const char *wrong = rest_read_bounds(x, bounds, sizeof(bounds) / sizeof(bounds[0]));
    if (wrong)
        exchange_error(x, 400, wrong);
    return !wrong;
}

static void answer_page(struct exchange *x, const struct users *u, enum ipc_error error,
                        const struct rest_reply *r)
{
    if (error) {
        exchange_failure(x, error);
        return;
    }
    if (r->next != IPC_NO_BOUND)
        snprintf(x->link, sizeof(x->link), "<?%s%s%safter=%llu&limit=%llu>; rel=\"next\"",
                 *u->prefix ? "q=" : "", u->prefix, *u->prefix ? "&" : "",
                 (unsigned long long)r->next, (unsigned long long)u->limit);
    rest_pass_on(x, r);
}

static void serve_page(struct exchange *x)
{
    struct users u = {0};
    struct rest_reply r;
    if (!read_page(x, &u, DEFAULT_USERS))
        return;
    if (read_prefix(exchange_query(x, "q"), u.prefix))
        answer_page(x, &u, ask_users(x, &u, &r), &r);
    else
        exchange_reply(x, 200, "[]", 2);
}

/* --- GET /me/blocks --- */

static enum ipc_error ask_blocks(struct exchange *x, const struct users *u, struct rest_reply *r)
{
    size_t begin = ask_begin(x->ask, IPC_BLOCKS);
    ipc_put_u64(&x->ask->channel.out, u->after);
    ipc_put_u32(&x->ask->channel.out, (uint32_t)u->limit);
    return rest_take_reply(x, begin, r);
}

void rest_blocks(struct exchange *x)
{
    struct users u = {0};
    struct rest_reply r;
    if (exchange_authenticated(x) && read_page(x, &u, DEFAULT_USERS))
        answer_page(x, &u, ask_blocks(x, &u, &r), &r);
}

/* --- GET /conversations/:id/members --- */

static enum ipc_error ask_members(struct exchange *x, uint64_t conversation, const struct users *u,
                                  struct rest_reply *r)
{
    size_t begin = ask_begin(x->ask, IPC_MEMBERS);
    ipc_put_u64(&x->ask->channel.out, conversation);
    ipc_put_u64(&x->ask->channel.out, u->after);
    ipc_put_u32(&x->ask->channel.out, (uint32_t)u->limit);
    return rest_take_reply(x, begin, r);
}

void rest_members(struct exchange *x)
{
    uint64_t conversation;
    struct users u = {0};
    struct rest_reply r;
    if (!exchange_authenticated(x))
        return;
    const char *wrong = rest_path_named(x, &conversation);
    if (wrong)
        exchange_error(x, 400, wrong);
    else if (read_page(x, &u, IPC_MAX_USERS))
        answer_page(x, &u, ask_members(x, conversation, &u, &r), &r);
}

/* --- GET /users without a query --- */

/* As ask_users(), while a response is under way: where another moment may do, it waits for that. */
static enum ipc_error ask_more_users(struct exchange *x, const struct users *u,
                                     struct rest_reply *r)
{
    struct backoff backoff = {.first = 50, .most = 1000};
    struct text token = exchange_bearer(x);
    int64_t deadline = clock_ms() + x->conf->request_timeout;
    for (;;) {
        enum ipc_error error = ask_authenticate(x->ask, token.p, token.n);
        if (!error)
            error = ask_users(x, u, r);
        bool passing = error && ipc_failure(error)->temporary;
        if (!passing || client_stop || clock_ms() >= deadline)
            return error;
        client_poll(NULL, 0, clock_ms() + backoff_failed(&backoff));
    }
}

/* Appends the elements of a page's array, behind those of earlier pages. */
static void put_elements(struct exchange *x, const struct rest_reply *r, const char *before)
{
    struct buf part = BUF_INIT;
    struct buf *out = &x->client->out;
    if (r->json.n > 2) {
        buf_puts(&part, before);
        buf_append(&part, r->json.p + 1, r->json.n - 2);
    }
    if (r->next == IPC_NO_BOUND)
        buf_puts(&part, x->conf->mode == CONF_DEVELOPMENT ? "]\n" : "]");
    if (x->request.minor == 0)
        buf_append(out, buf_head(&part), buf_len(&part));
    else if (buf_len(&part) > 0)
        http_response_chunk(out, buf_head(&part), buf_len(&part));
    buf_free(&part);
    ask_forget(x->ask);
}

/* Everybody, a page at a time, each written before the next is asked for. What cannot be completed
 * ends without its last chunk, and without the end of the array. */
static void stream_users(struct exchange *x, struct users *u, struct rest_reply *r)
{
    struct buf *out = &x->client->out;
    bool chunked = x->request.minor > 0;
    x->close = x->close || !chunked;
    exchange_begin_json(x, 200);
    if (chunked)
        http_response_field(out, "Transfer-Encoding", "chunked");
    http_response_end(out);
    if (http_text_is(x->request.method, "HEAD"))
        return;
    put_elements(x, r, "[");
    while (r->next != IPC_NO_BOUND) {
        u->after = r->next;
        if (!client_flush(x->client) || ask_more_users(x, u, r) != IPC_E_NONE) {
            x->close = true;
            return;
        }
        put_elements(x, r, ",");
    }
    if (chunked)
        http_response_chunk(out, NULL, 0);
}

static void serve_everybody(struct exchange *x)
{
    struct users u = {.limit = IPC_MAX_USERS};
    struct rest_reply r;
    enum ipc_error error = ask_users(x, &u, &r);
    if (error)
        exchange_failure(x, error);
    else if (r.next == IPC_NO_BOUND)
        rest_pass_on(x, &r);
    else
        stream_users(x, &u, &r);
}

void rest_users(struct exchange *x)
{
    if (!exchange_authenticated(x))
        return;
    bool paged =
        exchange_query(x, "after").p || exchange_query(x, "limit").p || exchange_query(x, "q").p;
    if (paged)
        serve_page(x);
    else
        serve_everybody(x);
}

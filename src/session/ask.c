/* Asking the broker; see ask.h. */
#include "ask.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "backoff.h"
#include "clock.h"
#include "log.h"
#include "proctitle.h"
#include "random.h"
#include "session_sandbox.h"

void ask_init(struct ask *a, struct client *c, uint32_t mark)
{
    *a = (struct ask){.client = c, .channel.fd = -1};
    a->origin = IPC_ORIGIN(random_u64(), mark);
}

static void unbind(struct ask *a)
{
    buf_wipe(&a->token);
    a->user = 0;
}

void ask_close(struct ask *a)
{
    ipc_channel_close(&a->channel);
    unbind(a);
}

bool ask_connect(struct ask *a)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return false;
    /* The master holds the listening socket, so this succeeds even while no broker runs. EAGAIN:
     * its queue is full. */
    if (connect(fd, (const struct sockaddr *)&session_broker, sizeof(session_broker)) < 0) {
        int saved = errno;
        close(fd);
        errno = saved;
        return false;
    }
    ask_close(a);
    ipc_channel_init(&a->channel, fd, IPC_BY_BROKER);
    size_t begin = ask_begin(a, IPC_HELLO);
    ipc_put_u32(&a->channel.out, IPC_VERSION);
    ipc_put_u64(&a->channel.out, a->origin);
    ipc_put_text(&a->channel.out, a->client->address, strlen(a->client->address));
    ipc_end(&a->channel.out, begin);
    return true;
}

size_t ask_begin(struct ask *a, enum ipc_type type)
{
    if (++a->seq == 0)
        a->seq = 1;
    return ipc_begin(&a->channel.out, type, a->seq);
}

enum ipc_error ask_require(struct ask *a)
{
    /* A broker that died since the last question shows as end of file now. */
    if (a->channel.fd >= 0 && ipc_channel_fill(&a->channel) < 0)
        ask_close(a);
    struct backoff backoff = {.first = 10, .most = 500};
    int64_t deadline = clock_ms() + a->client->conf->request_timeout;
    while (a->channel.fd < 0 && !ask_connect(a)) {
        int64_t again = clock_ms() + backoff_failed(&backoff);
        if (client_stop || again > deadline) {
            log_warn("connecting to the broker: %s", strerror(errno));
            return IPC_E_UNAVAILABLE;
        }
        client_poll(NULL, 0, again);
    }
    return IPC_E_NONE;
}

/* Waits for the answer; IPC_E_UNAVAILABLE if the channel broke, time ran out, or the client left:
 * by a reset, or in both directions. One that only sends no more may still want its answer. */
static enum ipc_error await(struct ask *a, uint32_t seq, struct ipc_message *m)
{
    int64_t deadline = clock_ms() + a->client->conf->request_timeout;
    for (;;) {
        int got;
        while ((got = ipc_channel_next(&a->channel, m)) > 0)
            if (m->seq == seq)
                return IPC_E_NONE;
        if (got < 0 || ipc_channel_flush(&a->channel) < 0)
            break;
        struct pollfd fds[] = {{.fd = a->channel.fd, .events = POLLIN}, {.fd = a->client->fd}};
        if (ipc_channel_queued(&a->channel) > 0)
            fds[0].events |= POLLOUT;
        if (client_poll(fds, 2, deadline) == 0)
            break;
        a->client->gone = fds[1].revents;
        if (a->client->gone ||
            ((fds[0].revents & (POLLIN | POLLHUP)) && ipc_channel_fill(&a->channel) < 0))
            break;
    }
    ask_close(a);
    return IPC_E_UNAVAILABLE;
}

enum ipc_error ask_end(struct ask *a, size_t begin, enum ipc_type wanted, struct ipc_message *m)
{
    ipc_end(&a->channel.out, begin);
    enum ipc_error error = await(a, a->seq, m);
    if (error || m->type == wanted)
        return error;
    struct ipc_reader r = ipc_read(m);
    uint32_t failure = m->type == IPC_FAILED ? ipc_get_u32(&r) : 0;
    if (ipc_read_end(&r) && failure > IPC_E_NONE && failure < IPC_ERROR_COUNT)
        return (enum ipc_error)failure;
    log_error("the broker answered with %s", ipc_rule(m->type)->name);
    ask_close(a);
    return IPC_E_INTERNAL;
}

void ask_forget(struct ask *a)
{
    ipc_channel_drop(&a->channel);
}

bool ask_take_authed(struct ask *a, const struct ipc_message *m)
{
    struct ipc_reader r = ipc_read(m);
    a->user = (int64_t)ipc_get_u64(&r);
    struct text name = ipc_get_text(&r, sizeof(a->name) - 1);
    a->expires = (int64_t)ipc_get_u64(&r);
    if (!ipc_read_end(&r))
        return false;
    if (name.n > 0)
        snprintf(a->name, sizeof(a->name), "%.*s", (int)name.n, name.p);
    else
        snprintf(a->name, sizeof(a->name), "user %lld", (long long)a->user);
    proctitle_set("session %s %s", a->name, a->client->address);
    log_client(a->name, a->client->address);
    return true;
}

bool ask_take_attached(struct ask *a, const struct ipc_message *m)
{
    struct ipc_reader r = ipc_read(m);
    struct text tag = ipc_get_text(&r, sizeof(a->tag) - 1);
    a->cursor = ipc_get_cursor(&r);
    a->presence = ipc_get_u64(&r);
    snprintf(a->tag, sizeof(a->tag), "%.*s", (int)tag.n, tag.p);
    return ipc_read_end(&r);
}

static enum ipc_error sign(struct ask *a, const void *key, uint32_t scheme, const void *content,
                           size_t n, struct buf *signature)
{
    ask_close(a); /* a channel gets one signature */
    enum ipc_error error = ask_require(a);
    if (error)
        return error;
    struct ipc_message m;
    struct buf *out = &a->channel.out;
    size_t begin = ask_begin(a, IPC_SIGN);
    ipc_put_u32(out, scheme);
    ipc_put_text(out, key, IPC_MAX_KEY);
    ipc_put_text(out, content, n);
    error = ask_end(a, begin, IPC_SIGNED, &m);
    if (error)
        return error;
    struct ipc_reader r = ipc_read(&m);
    struct text made = ipc_get_text(&r, IPC_MAX_SIGNATURE);
    buf_append(signature, made.p, made.n);
    return ipc_read_end(&r) ? IPC_E_NONE : IPC_E_INTERNAL;
}

bool ask_signature(void *arg, const void *key, uint32_t scheme, const void *content, size_t n,
                   struct buf *signature)
{
    struct ask *a = arg;
    enum ipc_error error = n > IPC_MAX_HANDSHAKE ? IPC_E_INTERNAL : IPC_E_UNAVAILABLE;
    /* If the broker dies before it answers, ask its successor. */
    for (int i = 0; i < 2 && error == IPC_E_UNAVAILABLE && !client_stop; i++)
        error = sign(a, key, scheme, content, n, signature);
    if (error) {
        log_debug("no signature for the handshake: %s", ipc_failure(error)->code);
        a->client->ending = ENDING_TLS_UNSIGNED;
    }
    return error == IPC_E_NONE;
}

bool ask_again(const struct ask *a, enum ipc_error error, int64_t deadline)
{
    return error == IPC_E_UNAVAILABLE && a->channel.fd < 0 && !a->client->gone && !client_stop &&
           clock_ms() < deadline;
}

static size_t begin_attach(struct ask *a, const char *cursor, size_t n)
{
    size_t begin = ask_begin(a, IPC_ATTACH);
    ipc_put_text(&a->channel.out, cursor, n);
    ipc_put_u64(&a->channel.out, a->presence);
    return begin;
}

enum ipc_error ask_attach(struct ask *a, const char *cursor, size_t n)
{
    struct ipc_message m;
    if (n > IPC_MAX_CURSOR) {
        cursor = "?"; /* no cursor of ours is so long: not honoured */
        n = 1;
    }
    enum ipc_error error = ask_end(a, begin_attach(a, cursor, n), IPC_ATTACHED, &m);
    if (error)
        return error;
    return ask_take_attached(a, &m) ? IPC_E_NONE : IPC_E_INTERNAL;
}

void ask_post_attach(struct ask *a, const char *cursor)
{
    char text[CURSOR_TEXT];
    size_t n = cursor ? strlen(cursor) : cursor_format(text, a->tag, a->cursor);
    ipc_end(&a->channel.out, begin_attach(a, cursor ? cursor : text, n));
}

static bool bound_by(const struct ask *a, const char *token, size_t n)
{
    return n > 0 && buf_len(&a->token) == n && memcmp(buf_head(&a->token), token, n) == 0;
}

enum ipc_error ask_authenticate(struct ask *a, const char *token, size_t n)
{
    if (n == 0 || n > IPC_MAX_TOKEN)
        return IPC_E_UNAUTHORIZED;
    enum ipc_error error = ask_require(a);
    if (error || (bound_by(a, token, n) && time(NULL) < a->expires))
        return error;
    /* A channel acts for one user as long as it lives: another token needs a new channel. */
    if (a->user) {
        ask_close(a);
        error = ask_require(a);
        if (error)
            return error;
    }
    struct ipc_message m;
    size_t begin = ask_begin(a, IPC_AUTH);
    ipc_put_text(&a->channel.out, token, n);
    error = ask_end(a, begin, IPC_AUTHED, &m);
    if (error)
        return error;
    if (!ask_take_authed(a, &m))
        return IPC_E_INTERNAL;
    buf_append(&a->token, token, n);
    return IPC_E_NONE;
}

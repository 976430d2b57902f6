/*
 * A client that is online: the input is what the broker sends to its session. The first byte says
 * for what the session waits: for a step of its channel, which may be the client's first, or for a
 * token to be renewed. Whatever comes, the client is told in JSON, and no change reaches it twice
 * or out of order; nor is anything said before it is online.
 */
#include "fuzz.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "clock.h"
#include "conf.h"
#include "json.h"
#include "live.h"
#include "log.h"
#include "utf8.h"

static uint64_t last_change;
static bool asked;

static void take_frame(struct live *l, const void *json, size_t n, const struct cursor *at)
{
    const char *error;
    REQUIRE(!l->sign_in_by);
    if (!at)
        return;
    if (at == &l->ask->cursor) /* "resumed", the session's own words around the database's tag */
        REQUIRE(json_check(json, n, 3, &error) ||
                !utf8_valid((uint8_t *)l->ask->tag, strlen(l->ask->tag)));
    else
        REQUIRE(at->change > last_change);
    last_change = at->change;
}

/* The client's own part: two messages and a receipt, once. */
static void send_messages(struct live *l)
{
    struct chat_frame f = {
        .type = CHAT_MESSAGE, .id = {"a\"b", 3}, .content = {"c", 1}, .receiver = 2};
    if (asked || !live_may_send(l))
        return;
    for (int i = 0; i < 2; i++)
        live_send(l, &f);
    f = (struct chat_frame){.type = CHAT_READ, .conversation = 7, .message = 91};
    live_send(l, &f);
    asked = true;
}

static void say_goodbye(struct live *l, int code, const char *reason)
{
    REQUIRE(code >= 1000 && code < 5000 && reason);
    l->close_by = clock_ms() + 1000;
}

static int64_t tick(struct live *l, int64_t now)
{
    (void)l;
    return now + 1000;
}

static const struct live_kind kind = {take_frame, send_messages, say_goodbye, tick};

/* A socket with these bytes in it, and the other end. */
static int pipe_with(const uint8_t *data, size_t size, int *other)
{
    int pair[2];
    REQUIRE(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair) == 0);
    REQUIRE(size == 0 || write(pair[1], data, size) == (ssize_t)size);
    *other = pair[1];
    return pair[0];
}

static void begin(struct live *l, struct client *c, struct ask *a, uint8_t how)
{
    static const struct next now = {.start = FROM_NOW};
    static const struct next later = {.start = FROM_NOW_TOLD, .unproven = true, .cursor = "x-9-1"};
    bool signing_in = how / 3 % 3 == 1, renewing = how / 3 % 3 == 2;
    a->user = 7;
    live_init(l, &kind, c, a, signing_in ? &later : &now);
    l->channel = (enum channel_state)(CHANNEL_AUTH + how % 3);
    if (l->channel == CHANNEL_READY)
        l->sign_in_by = 0;
    if (signing_in || renewing)
        buf_puts(&l->auth_id, "i");
    if (renewing)
        buf_puts(&l->new_token, "a.b.c");
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct conf conf;
    static struct live l; /* larger than it looks */
    int client_end, broker_end;
    if (conf.where[0] == NULL && conf.request_timeout == 0) {
        conf_init(&conf);
        log_init(open("/dev/null", O_WRONLY | O_CLOEXEC), LOG_TO_FILE, LOG_L_ERROR);
    }
    if (size < 1 || size > 16 * 1024)
        return 0;
    struct client c;
    struct ask a;
    client_init(&c, &conf, pipe_with(NULL, 0, &client_end));
    REQUIRE(close(client_end) == 0);
    ask_init(&a, &c, 1);
    ipc_channel_init(&a.channel, pipe_with(data + 1, size - 1, &broker_end), IPC_BY_BROKER);
    a.expires = INT64_MAX / 1000000;
    last_change = 0;
    asked = false;
    begin(&l, &c, &a, data[0]);
    live_run(&l);
    ask_close(&a);
    close(c.fd);
    close(broker_end);
    buf_free(&c.in);
    buf_free(&c.out);
    return 0;
}

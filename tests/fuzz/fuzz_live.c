/*
 * A client that is online: the input is what the broker sends to its session. The first byte says
 * for what the session waits. Whatever comes, the client is told in JSON, and no change reaches it
 * twice or out of order.
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
    if (!at)
        return;
    if (at == &l->ask->cursor) /* "resumed", the session's own words around the database's tag */
        REQUIRE(json_check(json, n, 3, &error) ||
                !utf8_valid((uint8_t *)l->ask->tag, strlen(l->ask->tag)));
    else
        REQUIRE(at->change > last_change);
    last_change = at->change;
}

/* The client's own part: two messages, once. */
static void send_messages(struct live *l)
{
    struct chat_frame f = {.type = CHAT_MESSAGE,
                           .id = "a\"b",
                           .id_size = 3,
                           .content = "c",
                           .content_size = 1,
                           .receiver = 2};
    for (int i = 0; i < 2 && !asked; i++)
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
    REQUIRE(shutdown(client_end, SHUT_WR) == 0);
    ask_init(&a, &c);
    ipc_channel_init(&a.channel, pipe_with(data + 1, size - 1, &broker_end), IPC_BY_BROKER);
    a.expires = INT64_MAX / 1000000;
    last_change = 0;
    asked = false;
    live_init(&l, &kind, &c, &a, &(struct next){.start = FROM_NOW});
    l.channel = (enum channel_state)(CHANNEL_AUTH + data[0] % 3);
    live_run(&l);
    ask_close(&a);
    close(c.fd);
    close(client_end);
    close(broker_end);
    buf_free(&c.in);
    buf_free(&c.out);
    return 0;
}

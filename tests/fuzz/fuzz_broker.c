/*
 * The broker, without a database: the input is what a session sends on a channel of its own. The
 * first byte says how far the channel has come before: new, after HELLO, bound, attached.
 *
 * The broker must survive, answer each request at most once, in messages that it may send, and keep
 * nothing of the session when it has gone. (It accepts nothing for later either: without a database
 * whatever would have to wait is refused.)
 */
#include "fuzz.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "bearer.h"
#include "broker.h"
#include "feed.h"
#include "limits.h"
#include "log.h"
#include "peer.h"
#include "requests.h"
#include "resume.h"
#include "rows.h"

static const char secret[] = "only the fuzzers use this one, of 32 bytes and more";
static struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "\0chatd-fuzz-"};
static struct buf hello = BUF_INIT, attach = BUF_INIT;

static void make_prefixes(void)
{
    size_t begin = ipc_begin(&hello, IPC_HELLO, 1);
    ipc_put_u32(&hello, IPC_VERSION);
    ipc_put_u64(&hello, 7);
    ipc_put_text(&hello, "192.0.2.1", 9);
    ipc_end(&hello, begin);
    begin = ipc_begin(&attach, IPC_ATTACH, 3);
    ipc_put_text(&attach, "", 0);
    ipc_put_u64(&attach, 0);
    ipc_end(&attach, begin);
}

static int start(void)
{
    conf_init(&broker.conf);
    free((char *)broker.conf.jwt_secret);
    broker.conf.jwt_secret = strdup(secret);
    broker.conf.batch_queue = broker.conf.auth_queue = 0;
    broker.conf.presence_debounce = 0;
    broker.loop = loop_new();
    log_init(open("/dev/null", O_WRONLY | O_CLOEXEC), LOG_TO_FILE, LOG_L_ERROR);
    bearer_init();
    limits_init(&broker.conf, 100);
    make_prefixes();
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    snprintf(address.sun_path + 12, sizeof(address.sun_path) - 12, "%d", (int)getpid());
    REQUIRE(bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 && listen(fd, 8) == 0);
    static const struct peers_owner owner = {request_serve, feed_drained, feed_detach};
    peers_init(fd, &owner);
    return fd;
}

/* One round of the broker, as its main loop; the rows that are asked for are there at once. */
static void turn(void)
{
    struct peer *p;
    loop_once(broker.loop);
    for (size_t at = 0; (p = peer_next(&at));) {
        if (p->feed.state != FEED_OPENING)
            continue;
        resume_opened(p, &(struct row){.known = true, .presence = p->feed.presence});
        peer_flush(p);
    }
    peers_reap();
}

/* Reads answers until the broker has closed (wanted 0) or has sent so many. */
static unsigned read_answers(struct ipc_channel *c, unsigned wanted)
{
    unsigned answers = 0;
    struct ipc_message m;
    for (;;) {
        int got, filled = ipc_channel_fill(c);
        while ((got = ipc_channel_next(c, &m)) > 0)
            answers += m.seq != 0;
        REQUIRE(got == 0);
        if (filled < 0 || (wanted && answers >= wanted))
            return answers;
        if (filled == 0)
            turn();
    }
}

static void say(struct ipc_channel *c, const struct buf *message)
{
    buf_append(&c->out, buf_head(message), buf_len(message));
    REQUIRE(ipc_channel_flush(c) == 0);
}

/* What AUTH comes to, for which the database would have to be there. */
static void bind_peer(void)
{
    struct peer *p = NULL;
    do
        turn();
    while (!(p = peer_next(&(size_t){0})) || p->state != IPC_IS_NEW);
    p->user = 42;
    p->state = IPC_IS_BOUND;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static int listener = -1;
    if (listener < 0)
        listener = start();
    if (size < 1 || size > 32 * 1024)
        return 0;
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
    REQUIRE(connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0);
    struct ipc_channel c;
    ipc_channel_init(&c, fd, IPC_BY_BROKER);
    unsigned steps = data[0] % 4u;
    if (steps > 0)
        say(&c, &hello);
    if (steps > 1)
        bind_peer();
    if (steps > 2) {
        say(&c, &attach);
        REQUIRE(read_answers(&c, 1) >= 1);
    }
    buf_append(&c.out, data + 1, size - 1);
    REQUIRE(ipc_channel_flush(&c) == 0 && ipc_channel_queued(&c) == 0);
    REQUIRE(shutdown(fd, SHUT_WR) == 0);
    REQUIRE(read_answers(&c, 0) <= (size - 1) / sizeof(struct ipc_header) + 1);
    ipc_channel_close(&c);
    rows_link_lost();
    REQUIRE(peer_count() == 0);
    return 0;
}

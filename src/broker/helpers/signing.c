/* Requests to the signer; see signing.h. */
#include "signing.h"

#include <stdlib.h>

#include "log.h"
#include "peer.h"
#include "work.h"

enum {
    AT_ONCE = 4,        /* it signs one at a time: a few, so that it never waits for us */
    QUEUE = 256,        /* as many handshakes as it signs in half a second with RSA */
    PATIENCE_MS = 5000, /* a client waits for twice as long, see work.h */
};

struct job {
    uint64_t peer;
    signing_done *done;
    void *arg;
};

static bool peer_is_there(const void *arg)
{
    const struct job *job = arg;
    return peer_find(job->peer) != NULL;
}

static struct work work = {.who = "the signer",
                           .role = IPC_BY_SIGNER,
                           .at_once = AT_ONCE,
                           .most = QUEUE,
                           .patience = PATIENCE_MS,
                           .wanted = peer_is_there};

/* One channel has one signature: all are signed in the order of their arrival. */
static const struct work_turn in_order = {0};

static void on_answer(void *arg, const struct ipc_message *m)
{
    struct job *job = arg;
    struct text signature = {"", 0};
    bool done = false;
    if (m) {
        struct ipc_reader r = ipc_read(m);
        signature = ipc_get_text(&r, IPC_MAX_SIGNATURE);
        done = ipc_read_end(&r);
    }
    job->done(job->arg, done, signature);
    free(job);
}

void signing_ask(const struct signing_order *order, signing_done *done, void *arg)
{
    struct job *job = xcalloc(1, sizeof(*job));
    *job = (struct job){order->peer, done, arg};
    struct buf packet = BUF_INIT;
    uint32_t seq = work_seq(&work);
    size_t begin = ipc_begin(&packet, IPC_KEY_SIGN, seq);
    ipc_put_u32(&packet, order->scheme);
    ipc_put_text(&packet, order->key.p, order->key.n);
    ipc_put_text(&packet, order->content.p, order->content.n);
    ipc_end(&packet, begin);
    work_ask(&work, in_order, &packet, seq, on_answer, job);
}

size_t signing_waiting(void)
{
    return work_waiting(&work);
}

const struct histogram *signing_waits(void)
{
    return &work.waits;
}

void signing_init(int fd)
{
    work_init(&work, fd);
}

void signing_free(void)
{
    work_free(&work);
}

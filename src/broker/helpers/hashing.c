/* Requests to the auth workers; see hashing.h. */
#include "hashing.h"

#include <stdlib.h>

#include "broker.h"
#include "log.h"
#include "peer.h"

struct job {
    uint64_t peer;
    hashing_done *done;
    void *arg;
};

static bool is_wanted(const void *arg)
{
    const struct job *job = arg;
    return !job->peer || peer_find(job->peer);
}

static struct work work = {.who = "an auth worker",
                           .role = IPC_BY_AUTH,
                           .patience = (int64_t)IPC_HASHING_S * 1000,
                           .wanted = is_wanted};

static void on_answer(void *arg, const struct ipc_message *m)
{
    struct job *job = arg;
    struct text hash = {"", 0};
    enum ipc_check check = IPC_WRONG;
    bool done = false;
    if (m) {
        struct ipc_reader r = ipc_read(m);
        if (m->type == IPC_HASHED)
            hash = ipc_get_text(&r, IPC_MAX_NAME);
        else
            check = (enum ipc_check)ipc_get_u8(&r);
        done = ipc_read_end(&r);
    }
    job->done(job->arg, done, hash, check);
    free(job);
}

/* Completes the packet's message and sends the request. */
static void ask(struct hashing_client client, struct buf *packet, uint32_t seq, hashing_done *done,
                void *arg)
{
    struct job *job = xcalloc(1, sizeof(*job));
    *job = (struct job){client.peer, done, arg};
    ipc_end(packet, 0);
    work_ask(&work, client.turn, packet, seq, on_answer, job);
}

void hashing_hash(struct hashing_client client, struct text password, hashing_done *done, void *arg)
{
    struct buf packet = BUF_INIT;
    uint32_t seq = work_seq(&work);
    ipc_begin(&packet, IPC_HASH, seq);
    ipc_put_text(&packet, password.p, password.n);
    ask(client, &packet, seq, done, arg);
}

void hashing_verify(struct hashing_client client, struct text password, struct text hash, int cost,
                    hashing_done *done, void *arg)
{
    struct buf packet = BUF_INIT;
    uint32_t seq = work_seq(&work);
    ipc_begin(&packet, IPC_VERIFY, seq);
    ipc_put_text(&packet, password.p, password.n);
    /* A longer text is not a hash, and neither is its beginning. */
    ipc_put_text(&packet, hash.p, hash.n < IPC_MAX_NAME ? hash.n : IPC_MAX_NAME);
    ipc_put_u8(&packet, (uint8_t)cost);
    ask(client, &packet, seq, done, arg);
}

size_t hashing_waiting(void)
{
    return work_waiting(&work);
}

const struct histogram *hashing_waits(void)
{
    return &work.waits;
}

void hashing_init(int fd)
{
    work.at_once = broker.conf.auth_workers;
    work.most = broker.conf.auth_queue;
    work_init(&work, fd);
}

void hashing_free(void)
{
    work_free(&work);
}

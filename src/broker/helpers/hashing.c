/* Requests to the auth workers; see hashing.h. */
#include "hashing.h"

#include <stdlib.h>

#include "broker.h"
#include "log.h"
#include "work.h"

enum { PATIENCE_MS = 10000 };

static struct work work = {.who = "an auth worker", .role = IPC_BY_AUTH, .patience = PATIENCE_MS};

struct job {
    hashing_done *done;
    void *arg;
};

static void on_answer(void *arg, const struct ipc_message *m)
{
    struct job *job = arg;
    struct ipc_text hash = {"", 0};
    bool right = false, done = false;
    if (m) {
        struct ipc_reader r = ipc_read(m);
        if (m->type == IPC_HASHED)
            hash = ipc_get_text(&r, IPC_MAX_NAME);
        else
            right = ipc_get_u8(&r) == 1;
        done = ipc_read_end(&r);
    }
    job->done(job->arg, done, hash, right);
    free(job);
}

/* The message with this many texts. */
static void ask(enum ipc_type type, const struct ipc_text *texts, int count, hashing_done *done,
                void *arg)
{
    struct job *job = xcalloc(1, sizeof(*job));
    *job = (struct job){done, arg};
    size_t size = 0;
    for (int i = 0; i < count; i++)
        size += sizeof(uint32_t) + texts[i].n;
    if (size > ipc_rule(type)->max) {
        on_answer(job, NULL);
        return;
    }
    struct buf packet = BUF_INIT;
    uint32_t seq = work_seq(&work);
    size_t begin = ipc_begin(&packet, type, seq);
    for (int i = 0; i < count; i++)
        ipc_put_text(&packet, texts[i].p, texts[i].n);
    ipc_end(&packet, begin);
    work_ask(&work, &packet, seq, on_answer, job);
}

void hashing_hash(struct ipc_text password, hashing_done *done, void *arg)
{
    ask(IPC_HASH, &password, 1, done, arg);
}

void hashing_verify(struct ipc_text password, struct ipc_text hash, hashing_done *done, void *arg)
{
    struct ipc_text texts[] = {password, hash};
    ask(IPC_VERIFY, texts, 2, done, arg);
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

/*
 * chatd-auth: a worker that only computes password hashes.
 *
 * All workers share one packet socket: whichever is free takes the broker's next request, so nobody
 * has to distribute them. A worker talks to no client, file or database, and keeps nothing between
 * two requests. It runs at low priority, so that a storm of logins leaves the processor to messages
 * first.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "auth_sandbox.h"
#include "bcrypt.h"
#include "ipc.h"
#include "log.h"
#include "priority.h"
#include "role.h"

enum { PACKET_MAX = 2048 };

static void serve_hash(struct ipc_reader *r, struct buf *reply, uint32_t seq)
{
    struct text password = ipc_get_text(r, IPC_MAX_PASSWORD);
    char hash[BCRYPT_HASH_SIZE] = "";
    if (!ipc_read_end(r) || !bcrypt_hash(password.p, password.n, hash))
        hash[0] = 0;
    size_t begin = ipc_begin(reply, IPC_HASHED, seq);
    ipc_put_text(reply, hash, strlen(hash));
    ipc_end(reply, begin);
    explicit_bzero(hash, sizeof(hash));
}

static void serve_verify(struct ipc_reader *r, struct buf *reply, uint32_t seq)
{
    struct text password = ipc_get_text(r, IPC_MAX_PASSWORD);
    struct text hash = ipc_get_text(r, IPC_MAX_NAME);
    int work = ipc_get_u8(r);
    enum ipc_check check = IPC_WRONG;
    if (ipc_read_end(r))
        check = bcrypt_verify(password.p, password.n, hash.p, hash.n, work);
    size_t begin = ipc_begin(reply, IPC_VERIFIED, seq);
    ipc_put_u8(reply, (uint8_t)check);
    ipc_end(reply, begin);
}

/* Serves one packet; false if the broker may not send it. */
static bool serve_hashing(const uint8_t *packet, size_t n, struct buf *reply)
{
    struct ipc_message m;
    if (ipc_take(packet, n, IPC_BY_BROKER, &m) != (long)n)
        return false;
    struct ipc_reader r = ipc_read(&m);
    if (m.type == IPC_HASH)
        serve_hash(&r, reply, m.seq);
    else if (m.type == IPC_VERIFY)
        serve_verify(&r, reply, m.seq);
    else
        return false;
    return true;
}

/* If this process is busy for longer, for whatever reason, SIGALRM ends it and the master starts
 * another. */
static void set_limit(int seconds)
{
    const struct itimerval limit = {.it_value = {.tv_sec = seconds}};
    if (setitimer(ITIMER_REAL, &limit, NULL) < 0)
        die("setitimer: %s", strerror(errno));
}

int main(int argc, char **argv)
{
    struct conf conf;
    priority_open();
    role_start(&conf, "auth", argc, argv);
    priority_lower();
    bcrypt_init(conf.bcrypt_cost, conf_bcrypt_most(&conf));
    auth_sandbox(&conf);
    conf_free(&conf);

    uint8_t packet[PACKET_MAX];
    for (;;) {
        ssize_t n = recv(ROLE_FD_AUTH, packet, sizeof(packet), 0);
        if (n < 0 && errno == EINTR)
            continue;
        if (n < 0)
            die("receiving a request: %s", strerror(errno));
        if (n == 0)
            return 0; /* the master and the broker are gone */
        set_limit(IPC_HASHING_S);
        priority_lower_session();
        struct buf reply = BUF_INIT;
        if (!serve_hashing(packet, (size_t)n, &reply))
            log_error("a request that the broker may not send");
        explicit_bzero(packet, sizeof(packet));
        if (buf_len(&reply) > 0 &&
            send(ROLE_FD_AUTH, buf_head(&reply), buf_len(&reply), MSG_NOSIGNAL) < 0)
            log_error("sending a reply: %s", strerror(errno));
        set_limit(0);
        buf_wipe(&reply);
    }
}

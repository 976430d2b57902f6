/*
 * chatd-signer: holds the private TLS key and signs handshakes with it, nothing else.
 *
 * Sessions do all of TLS except this step: they ask the broker, which passes the request on over a
 * packet socket. The signer decrypts nothing, and signs only the server's part of a handshake
 * (content.h).
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "content.h"
#include "ipc.h"
#include "keys.h"
#include "log.h"
#include "role.h"
#include "signer_sandbox.h"
#include "tls_key.h"

enum { PACKET_MAX = 1024 };

static volatile sig_atomic_t stop;
static sigset_t while_waiting;

static void on_stop(int signal)
{
    (void)signal;
    stop = 1;
}

/* Lets ROLE_STOP in only between two requests: the successor gets the next. */
static void catch_stop(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, ROLE_STOP);
    sigprocmask(SIG_BLOCK, &set, &while_waiting);
    sigdelset(&while_waiting, ROLE_STOP);
    sigaction(ROLE_STOP, &(struct sigaction){.sa_handler = on_stop}, NULL);
}

/* Makes the signature that a packet asks for; empty if not allowed. False if the broker may not
 * send this packet. */
static bool make_signature(const uint8_t *packet, size_t n, struct buf *reply)
{
    struct ipc_message m;
    if (ipc_take(packet, n, IPC_BY_BROKER, &m) != (long)n || m.type != IPC_KEY_SIGN)
        return false;
    struct ipc_reader r = ipc_read(&m);
    const struct tls_scheme *scheme = tls_scheme(ipc_get_u32(&r));
    struct text key = ipc_get_text(&r, IPC_MAX_KEY);
    struct text content = ipc_get_text(&r, IPC_MAX_HANDSHAKE);
    const unsigned char *p = (const unsigned char *)content.p;
    struct buf signature = BUF_INIT;
    if (!ipc_read_end(&r) || !scheme || key.n != TLS_FINGERPRINT ||
        !content_is_handshake(scheme, p, content.n))
        log_warn("refused to sign content that is not a handshake");
    else if (!keys_sign((const unsigned char *)key.p, scheme, p, content.n, &signature))
        log_warn("cannot sign with scheme 0x%04x and the key asked for", scheme->number);
    size_t begin = ipc_begin(reply, IPC_KEY_SIGNED, m.seq);
    ipc_put_text(reply, buf_len(&signature) ? (const char *)buf_head(&signature) : "",
                 buf_len(&signature));
    ipc_end(reply, begin);
    buf_free(&signature);
    return true;
}

static void answer_packet(const uint8_t *packet, size_t n)
{
    struct buf reply = BUF_INIT;
    if (!make_signature(packet, n, &reply))
        log_error("a request that the broker may not send");
    else if (send(ROLE_FD_SIGN, buf_head(&reply), buf_len(&reply), MSG_NOSIGNAL) < 0)
        log_error("sending a reply: %s", strerror(errno));
    buf_free(&reply);
}

int main(int argc, char **argv)
{
    struct conf conf;
    role_start(&conf, "signer", argc, argv);
    keys_read(ROLE_FD_KEYS);
    close(ROLE_FD_KEYS);
    catch_stop();
    signer_sandbox(&conf);
    conf_free(&conf);

    uint8_t packet[PACKET_MAX];
    while (!stop) {
        struct pollfd fd = {.fd = ROLE_FD_SIGN, .events = POLLIN};
        if (ppoll(&fd, 1, NULL, &while_waiting) <= 0)
            continue;
        /* The previous signer may still run, and have taken it. */
        ssize_t n = recv(ROLE_FD_SIGN, packet, sizeof(packet), MSG_DONTWAIT);
        if (n == 0)
            return 0; /* the master and the broker are gone */
        if (n > 0)
            answer_packet(packet, (size_t)n);
        else if (errno != EAGAIN && errno != EINTR)
            die("receiving a request: %s", strerror(errno));
    }
    return 0;
}

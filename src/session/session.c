/* The life of a session, as a list; see session.h. */
#include "session.h"

#include <errno.h>
#include <json-c/json.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "ask.h"
#include "chat.h"
#include "client.h"
#include "log.h"
#include "proctitle.h"
#include "serve.h"
#include "ws.h"

void session_warm_up(void)
{
    char accept[29];
    ws_accept_key("AAAAAAAAAAAAAAAAAAAAAA==", 24, accept);
    json_object_put(json_tokener_parse("{\"a\":1}"));
}

/* Waits for the client that the master hands over; exits when there will be none. */
static int receive_client(int handover)
{
    char byte;
    struct iovec iov = {&byte, 1};
    union {
        struct cmsghdr header;
        char space[CMSG_SPACE(sizeof(int))];
    } control;
    struct msghdr message = {.msg_iov = &iov,
                             .msg_iovlen = 1,
                             .msg_control = &control,
                             .msg_controllen = sizeof(control)};
    ssize_t n;
    while ((n = recvmsg(handover, &message, MSG_CMSG_CLOEXEC)) < 0 && errno == EINTR)
        ;
    if (n <= 0)
        exit(0); /* one spare too many, or the end of the service */
    struct cmsghdr *header = CMSG_FIRSTHDR(&message);
    if (!header || header->cmsg_type != SCM_RIGHTS)
        bug("the master sent no descriptor");
    int fd;
    memcpy(&fd, CMSG_DATA(header), sizeof(fd));
    close(handover);
    return fd;
}

void session_main(const struct conf *conf, int client, int handover)
{
    log_ident("session[%d]", (int)getpid());
    if (client < 0) {
        proctitle_set("spare");
        client = receive_client(handover);
    }
    client_init_signals();

    struct client c;
    struct ask a;
    client_init(&c, conf, client);
    ask_init(&a, &c);
    proctitle_set("session - %s", c.address);
    log_ident("session[%d] %s", (int)getpid(), c.address);

    if (serve_http(&c, &a))
        chat_run(&c, &a);

    ask_close(&a);
    buf_wipe(&c.in);
    buf_wipe(&c.out);
    close(c.fd);
    exit(0);
}

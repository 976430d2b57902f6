/* The exporter's questions; see monitor.h. */
#include "monitor.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "buf.h"
#include "clock.h"
#include "facts.h"
#include "fdpass.h"
#include "log.h"
#include "repeats.h"
#include "role.h"
#include "roles.h"

enum { PACE_MS = 200 };

static int ends[2] = {-1, -1}; /* ours, the exporter's */
static int64_t next;           /* clock_ms(): no answer before */

int monitor_init(void)
{
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, ends) < 0)
        die("connecting the exporter: %s", strerror(errno));
    return ends[1];
}

int monitor_fd(int64_t *until)
{
    if (clock_ms() >= next)
        return ends[0];
    *until = next < *until ? next : *until;
    return -1;
}

/* If the broker cannot have its end, the exporter finds the other one closed. */
static void give_connection(int exporters, int brokers, const struct facts *facts)
{
    struct buf text = BUF_INIT;
    buf_printf(&text, "%s\n", facts->phase);
    facts_expose(facts, &text);
    if (!roles_pass_operator(brokers, ROLE_FOR_EXPORTER, strlen(ROLE_FOR_EXPORTER)))
        repeats_log(LOG_L_WARN, NULL, "exporter: too many wait for the broker");
    if (!fdpass_send_with(ends[0], exporters, buf_head(&text), buf_len(&text)))
        repeats_log(LOG_L_WARN, NULL, "exporter: %s", strerror(errno));
    buf_free(&text);
}

void monitor_answer(const struct facts *facts)
{
    char question;
    int pair[2];
    next = clock_ms() + PACE_MS;
    /* Before the question is taken: without descriptors it waits until there are some. */
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0) {
        repeats_log(LOG_L_ERROR, NULL, "exporter: socketpair: %s", strerror(errno));
        return;
    }
    if (recv(ends[0], &question, sizeof(question), MSG_DONTWAIT) >= 0)
        give_connection(pair[0], pair[1], facts);
    close(pair[0]);
    close(pair[1]);
}

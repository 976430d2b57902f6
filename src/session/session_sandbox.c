/*
 * The list of what a session may do; see session_sandbox.h.
 *
 * A session uses memory, its client, the broker, the log and the clock. It cannot open a file, run
 * a program, make a process or look into another one. It may make a Unix stream socket, but connect
 * it only to the broker. That holds without a chroot, too: the only address that passes is a
 * constant, and its page cannot be made writable, unmapped, moved or mapped over. A test reads this
 * list and counts it.
 */
#include "session_sandbox.h"

#include <errno.h>
#include <linux/futex.h>
#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "sandbox.h"

enum {
    LOG = 4,         /* the log's descriptor; /dev/null if there is none */
    FILES = 16,      /* standard ones, client or handover, log, broker, and a new channel */
    TREE_SPACE = 64, /* bytes of memory for a byte of JSON, once parsed */
};

#define ROOM ((rlim_t)512 << 20) /* programs, libraries, and copies of the largest answer */

/* Aligned so that it does not reach into a second page. */
__attribute__((aligned(128)))
const struct sockaddr_un session_broker = {.sun_family = AF_UNIX, .sun_path = "broker.sock"};

static const struct sandbox_rule session_rules[] = {
    /* The client, the broker, the log. */
    ALLOW(read, "client and broker"),
    ALLOW(write, "client and log"),
    ALLOW_IF(sendto, "broker and syslog(3); to nobody else", ARG_WHOLE(4, 0), ARG_WHOLE(5, 0)),
    ALLOW(recvfrom, "what a client still sends is thrown away"),
    ALLOW(recvmsg, "a spare gets its client"),
    ALLOW(ppoll, "waiting for either"),
#ifdef SYS_poll
    ALLOW(poll, "waiting for the client's end"),
#endif
    KILL_IF(shutdown, "not of the log, which may be a socket: it is everybody's",
            ARG_IS(0, STDERR_FILENO)),
    KILL_IF(shutdown, "the same", ARG_IS(0, LOG)),
    ALLOW(shutdown, "the end of what is sent, before the end of the connection"),
    ALLOW(close, "client, and a broker that is gone"),
    ALLOW(getpeername, "the client's address"),
    ALLOW_IF(setsockopt, "answers leave at once", ARG_IS(1, IPPROTO_TCP), ARG_IS(2, TCP_NODELAY)),
    ALLOW_IF(setsockopt, "a stream's client that is gone", ARG_IS(1, IPPROTO_TCP),
             ARG_IS(2, TCP_USER_TIMEOUT)),
    ALLOW_IF(ioctl, "does a slow client take anything?", ARG_IS(1, SIOCOUTQ)),

    /* The broker again, after it has died. */
    ALLOW_IF(socket, "a channel to the broker", ARG_IS(0, AF_UNIX),
             ARG_BITS(1, ~(SOCK_NONBLOCK | SOCK_CLOEXEC), SOCK_STREAM), ARG_IS(2, 0)),
    FAIL(socket, EACCES, "syslog(3) tries to come back to a syslogd that has restarted"),
    ALLOW_IF(connect, "the broker, and nobody else", ARG_WHOLE(1, &session_broker),
             ARG_IS(2, sizeof(session_broker))),

    /* Memory: no page that is executable, none at a place of one's choice. */
    ALLOW(brk, "malloc(3)"),
    ALLOW_IF(mmap, "malloc(3), large pieces", ARG_IS(2, PROT_READ | PROT_WRITE),
             ARG_IS(3, MAP_PRIVATE | MAP_ANONYMOUS)),
    ALLOW_IF(munmap, "free(3), large pieces", ARG_ABOVE(0, &session_broker)),
    FAIL(munmap, EINVAL, "the broker's address stays; free(3) lives with it"),
    ALLOW_IF(madvise, "malloc_trim(3)", ARG_IS(2, MADV_DONTNEED)),
    FAIL(mremap, ENOMEM, "a moved page would leave a hole; realloc(3) copies instead"),

    /* Time and chance. */
    ALLOW(clock_gettime, "deadlines and the log, where the vDSO cannot tell"),
#ifdef SYS_time
    ALLOW(time, "the same"),
#endif
    ALLOW(gettimeofday, "the same, for libraries"),
    ALLOW(getrandom, "ids and cursors"),

    /* Signals and locks. */
    ALLOW(rt_sigaction, "SIGTERM: the server ends"),
    ALLOW(rt_sigprocmask, "SIGTERM only while waiting"),
    ALLOW(rt_sigpending, "has it come meanwhile?"),
    ALLOW(rt_sigreturn, "the end of its handler"),
    ALLOW(restart_syscall, "waiting goes on after SIGCONT"),
    ALLOW_IF(futex, "libraries wake whoever waits for their locks: nobody",
             ARG_IS(1, FUTEX_WAKE_PRIVATE)),
};

static const struct sandbox calls = {
    .rules = session_rules,
    .count = sizeof(session_rules) / sizeof(session_rules[0]),
    .otherwise = SECCOMP_RET_KILL_PROCESS,
};

void session_sandbox_prepare(void)
{
    sandbox_prepare(&calls);
}

void session_sandbox(const struct conf *conf, int log_fd)
{
    const struct sandbox_limit limits[SANDBOX_LIMITS] = {
        {RLIMIT_NPROC, 0},
        {RLIMIT_NOFILE, FILES},
        {RLIMIT_FSIZE, sandbox_file_size(log_fd)},
        {RLIMIT_AS, ROOM + (conf->max_message + conf->max_body) * TREE_SPACE},
        {RLIMIT_CORE, conf->mode == CONF_PRODUCTION ? 0 : RLIM_INFINITY},
    };
    struct sandbox sandbox = calls;
    memcpy(sandbox.limits, limits, sizeof(limits));
    sandbox_close(&sandbox);
}

/*
 * The exporter's list of system calls; see exporter_sandbox.h. It accepts connections at one
 * socket, takes descriptors from the master at another, reads, writes, and logs.
 */
#include "exporter_sandbox.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "role.h"
#include "sandbox.h"

enum { FILES = 64 };

#define ROOM ((rlim_t)256 << 20) /* program and libraries; an answer has some 20 kB */

static const struct sandbox_rule exporter_rules[] = {
    ALLOW(epoll_ctl, "the loop"),
#ifdef SYS_epoll_wait
    ALLOW(epoll_wait, "the loop"),
#endif
    ALLOW(epoll_pwait, "the loop"),
    ALLOW_IF(accept4, "who asks", ARG_IS(0, ROLE_FD_ADMIN)),
    ALLOW_IF(recvmsg, "the master's answers, with a connection to the broker",
             ARG_IS(0, ROLE_FD_MASTER)),
    ALLOW_IF(sendto, "master, broker and syslog(3); to nobody else", ARG_WHOLE(4, 0),
             ARG_WHOLE(5, 0)),
    ALLOW(read, "requests, and what the broker answers"),
    ALLOW(write, "answers, and the log"),
    KILL_IF(shutdown, "not of the log, which may be a socket: it is everybody's",
            ARG_IS(0, STDERR_FILENO)),
    KILL_IF(shutdown, "the same", ARG_IS(0, ROLE_FD_LOG)),
    ALLOW(shutdown, "the end of an answer, before the end of its connection"),
    ALLOW(close, "connections that have ended"),
    FAIL(socket, EACCES, "syslog(3) tries to come back to a syslogd that has restarted"),

    ALLOW(brk, "malloc(3)"),
    ALLOW_IF(mmap, "malloc(3), large pieces", ARG_IS(2, PROT_READ | PROT_WRITE),
             ARG_IS(3, MAP_PRIVATE | MAP_ANONYMOUS)),
    ALLOW(munmap, "free(3), large pieces"),
    FAIL(mremap, ENOMEM, "realloc(3) copies instead"),
    ALLOW(clock_gettime, "deadlines and the log, where the vDSO cannot tell"),
#ifdef SYS_time
    ALLOW(time, "the same"),
#endif
    ALLOW(gettimeofday, "the same"),

    ALLOW(restart_syscall, "waiting goes on after SIGCONT"),
};

void exporter_sandbox(const struct conf *conf)
{
    const struct sandbox sandbox = {
        .rules = exporter_rules,
        .count = sizeof(exporter_rules) / sizeof(exporter_rules[0]),
        .otherwise = SECCOMP_RET_KILL_PROCESS,
        .limits = {{RLIMIT_NPROC, 0},
                   {RLIMIT_NOFILE, FILES},
                   {RLIMIT_FSIZE, sandbox_file_size(role_log_fd(conf))},
                   {RLIMIT_AS, ROOM},
                   {RLIMIT_CORE, conf->mode == CONF_PRODUCTION ? 0 : RLIM_INFINITY}},
    };
    sandbox_close(&sandbox);
}

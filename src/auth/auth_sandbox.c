/*
 * The auth worker's list of system calls; see auth_sandbox.h. It takes requests from one socket,
 * computes, answers there, and logs.
 */
#include "auth_sandbox.h"

#include <errno.h>
#include <sys/mman.h>
#include <sys/time.h>

#include "role.h"
#include "sandbox.h"

enum { FILES = 16 };

#define ROOM ((rlim_t)256 << 20) /* program and libraries; a hash needs 32 kB */

static const struct sandbox_rule auth_rules[] = {
    ALLOW_IF(recvfrom, "requests", ARG_IS(0, ROLE_FD_AUTH)),
    ALLOW_IF(sendto, "answers, and syslog(3)", ARG_WHOLE(4, 0), ARG_WHOLE(5, 0)),
    ALLOW(write, "the log; priority.c"),
    ALLOW(close, "syslog(3) gives up a syslogd that is gone; priority.c"),
    ALLOW_IF(setitimer, "the limit for one password", ARG_IS(0, ITIMER_REAL)),
    FAIL(socket, EACCES, "and tries to come back"),

    ALLOW(brk, "malloc(3)"),
    ALLOW_IF(mmap, "malloc(3), large pieces", ARG_IS(2, PROT_READ | PROT_WRITE),
             ARG_IS(3, MAP_PRIVATE | MAP_ANONYMOUS)),
    ALLOW(munmap, "free(3), large pieces"),
    FAIL(mremap, ENOMEM, "realloc(3) copies instead"),
    ALLOW(getrandom, "a new salt"),
    ALLOW(clock_gettime, "the log, where the vDSO cannot tell"),

    ALLOW(restart_syscall, "waiting goes on after SIGCONT"),
};

void auth_sandbox(const struct conf *conf)
{
    const struct sandbox sandbox = {
        .rules = auth_rules,
        .count = sizeof(auth_rules) / sizeof(auth_rules[0]),
        .otherwise = SECCOMP_RET_KILL_PROCESS,
        .limits = {{RLIMIT_NPROC, 0},
                   {RLIMIT_NOFILE, FILES},
                   {RLIMIT_FSIZE, sandbox_file_size(role_log_fd(conf))},
                   {RLIMIT_AS, ROOM},
                   {RLIMIT_CORE, conf->mode == CONF_PRODUCTION ? 0 : RLIM_INFINITY}},
    };
    sandbox_close(&sandbox);
}

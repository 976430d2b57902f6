/*
 * The signer's list of system calls; see signer_sandbox.h. Its keys are in memory: it takes
 * requests from one socket, computes, answers there, and logs.
 */
#include "signer_sandbox.h"

#include <errno.h>
#include <linux/futex.h>
#include <sys/mman.h>

#include "role.h"
#include "sandbox.h"

enum { FILES = 16 };

#define ROOM ((rlim_t)256 << 20) /* program and libraries; a signature needs some kB */

static const struct sandbox_rule signer_rules[] = {
    ALLOW(ppoll, "waiting for a request, or for ROLE_STOP"),
    ALLOW_IF(recvfrom, "requests", ARG_IS(0, ROLE_FD_SIGN)),
    ALLOW_IF(sendto, "answers, and syslog(3)", ARG_WHOLE(4, 0), ARG_WHOLE(5, 0)),
    ALLOW(write, "the log"),
    ALLOW(close, "syslog(3) gives up a syslogd that is gone"),
    FAIL(socket, EACCES, "and tries to come back"),

    ALLOW(brk, "malloc(3)"),
    ALLOW_IF(mmap, "malloc(3), large pieces", ARG_IS(2, PROT_READ | PROT_WRITE),
             ARG_IS(3, MAP_PRIVATE | MAP_ANONYMOUS)),
    ALLOW(munmap, "free(3), large pieces"),
    FAIL(mremap, ENOMEM, "realloc(3) copies instead"),
    ALLOW(getrandom, "a signature's chance"),
    ALLOW(clock_gettime, "the log, and libcrypto's generator, where the vDSO cannot tell"),
#ifdef SYS_time
    ALLOW(time, "the same"),
#endif
    ALLOW(gettimeofday, "the same"),
    ALLOW_IF(futex, "libcrypto wakes whoever waits for its locks: nobody",
             ARG_IS(1, FUTEX_WAKE_PRIVATE)),

    ALLOW(rt_sigreturn, "the end of ROLE_STOP's handler"),
    ALLOW(restart_syscall, "waiting goes on after SIGCONT"),
};

void signer_sandbox(const struct conf *conf)
{
    const struct sandbox sandbox = {
        .rules = signer_rules,
        .count = sizeof(signer_rules) / sizeof(signer_rules[0]),
        .otherwise = SECCOMP_RET_KILL_PROCESS,
        .limits = {{RLIMIT_NPROC, 0},
                   {RLIMIT_NOFILE, FILES},
                   {RLIMIT_FSIZE, sandbox_file_size(role_log_fd(conf))},
                   {RLIMIT_AS, ROOM},
                   {RLIMIT_CORE, 0}}, /* in any mode: its memory is the key */
    };
    sandbox_close(&sandbox);
}

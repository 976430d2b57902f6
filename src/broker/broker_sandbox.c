/*
 * The list of what the broker may do; see broker_sandbox.h.
 *
 * libpq, and the libraries that it links for names, TLS and Kerberos, read files and make
 * connections; which ones depends on the machine. So a call that is not on the list fails instead
 * of killing the broker: it is denied all the same, and the library does without. Calls that nobody
 * makes innocently kill it: running programs, making processes, looking into others.
 */
#include "broker_sandbox.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netlink.h>
#include <linux/sockios.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "role.h"
#include "sandbox.h"

#define TYPE ~(SOCK_NONBLOCK | SOCK_CLOEXEC) /* the type proper, without the flags */

static const struct sandbox_rule broker_rules[] = {
    /* The loop: sessions, PostgreSQL, auth workers, master, log. */
    ALLOW(read, "sessions and signals; files of libpq"),
    ALLOW(write, "the log, the master"),
    ALLOW(recvfrom, "PostgreSQL, auth workers, name servers"),
    ALLOW(recvmsg, "name servers"),
    ALLOW(sendto, "PostgreSQL, auth workers, sessions, name servers"),
    ALLOW(sendmsg, "name servers, by some libraries"),
    ALLOW(sendmmsg, "name servers: two questions at once"),
    ALLOW(accept4, "sessions"),
    ALLOW(close, "sessions and connections that have ended"),
    ALLOW(shutdown, "TLS, at its end"),
    ALLOW(epoll_ctl, "the loop"),
#ifdef SYS_epoll_wait
    ALLOW(epoll_wait, "the loop"),
#endif
    ALLOW(epoll_pwait, "the loop"),
#ifdef SYS_poll
    ALLOW(poll, "libpq, name servers"),
#endif
    ALLOW(ppoll, "libpq, name servers"),

    /* Connections to PostgreSQL, and to whoever knows its address. Landlock denies TCP bind. */
    ALLOW_IF(socket, "a local PostgreSQL, nscd, syslog(3)", ARG_IS(0, AF_UNIX)),
    ALLOW_IF(socket, "PostgreSQL", ARG_IS(0, AF_INET), ARG_BITS(1, TYPE, SOCK_STREAM)),
    ALLOW_IF(socket, "PostgreSQL", ARG_IS(0, AF_INET6), ARG_BITS(1, TYPE, SOCK_STREAM)),
    ALLOW_IF(socket, "name servers", ARG_IS(0, AF_INET), ARG_BITS(1, TYPE, SOCK_DGRAM)),
    ALLOW_IF(socket, "name servers", ARG_IS(0, AF_INET6), ARG_BITS(1, TYPE, SOCK_DGRAM)),
    ALLOW_IF(socket, "getaddrinfo(3): has this host IPv6?", ARG_IS(0, AF_NETLINK),
             ARG_IS(2, NETLINK_ROUTE)),
    ALLOW(bind, "getaddrinfo(3): netlink"),
    ALLOW(connect, "PostgreSQL, name servers"),
    ALLOW(getsockname, "libpq, getaddrinfo(3)"),
    ALLOW(getpeername, "libpq"),
    ALLOW(getsockopt, "whose process is this session; has the connection come about?"),
    ALLOW(setsockopt, "keepalives, no delay"),
    ALLOW_IF(fcntl, "non-blocking?", ARG_IS(1, F_GETFL)),
    ALLOW_IF(fcntl, "non-blocking", ARG_IS(1, F_SETFL)),
    ALLOW_IF(fcntl, "not for programs?", ARG_IS(1, F_GETFD)),
    ALLOW_IF(fcntl, "not for programs", ARG_IS(1, F_SETFD)),
    ALLOW_IF(ioctl, "name servers: how long is the answer?", ARG_IS(1, FIONREAD)),
    ALLOW_IF(ioctl, "does a session read what it gets?", ARG_IS(1, SIOCOUTQ)),

    /* Files, to read: passwords and certificates of libpq, hosts and services, TLS, Kerberos. */
    ALLOW_IF(openat, "only to read", ARG_BITS(2, O_ACCMODE | O_CREAT | O_TRUNC, O_RDONLY)),
    ALLOW(fstat, "as files are read"),
    ALLOW(newfstatat, "are they there?"),
    ALLOW(statx, "are they there?"),
    ALLOW(faccessat, "are they there?"),
#ifdef SYS_access
    ALLOW(access, "are they there?"),
    ALLOW(stat, "are they there?"),
    ALLOW(lstat, "are they there?"),
    ALLOW(readlink, "where are they?"),
#endif
    ALLOW(readlinkat, "where are they?"),
    ALLOW(getdents64, "Kerberos: what is in its folders?"),
    ALLOW(lseek, "as files are read"),
    ALLOW(pread64, "as files are read"),

    /* Memory that is not executable. A library that loads another one fails, and does without. */
    ALLOW(brk, "malloc(3)"),
    ALLOW_IF(mmap, "malloc(3), files", ARG_BITS(2, PROT_EXEC, 0)),
    ALLOW(munmap, "free(3), files"),
    ALLOW(mremap, "realloc(3)"),
    ALLOW(madvise, "free(3)"),
    ALLOW_IF(mprotect, "secure memory of TLS", ARG_BITS(2, PROT_EXEC, 0)),

    /* Time, chance, names. */
    ALLOW(clock_gettime, "timers and the log, where the vDSO cannot tell"),
#ifdef SYS_time
    ALLOW(time, "the same"),
#endif
    ALLOW(gettimeofday, "the same, for libraries"),
    ALLOW(getrandom, "numbers of requests, TLS"),
    ALLOW(uname, "the name of this host"),
    ALLOW(sysinfo, "qsort(3): how much memory is there?"),
    ALLOW(getuid, "whose files are these?"),
    ALLOW(geteuid, "the same"),
    ALLOW(getgid, "the same"),
    ALLOW(getegid, "the same"),
    ALLOW(rt_sigaction, "SIGPIPE, by libraries"),
    ALLOW(rt_sigreturn, "the end of a handler"),
    ALLOW(rt_sigpending, "libpq: did this SIGPIPE come from us?"),
    ALLOW(rt_sigtimedwait, "libpq: then it is taken away"),
    ALLOW(futex, "locks inside libraries"),
    ALLOW_IF(prlimit64, "its own limits, as libraries read them", ARG_IS(0, 0), ARG_WHOLE(2, 0)),

    /* Nobody calls these by mistake. */
    KILL(execve, "no program"),
    KILL(execveat, "no program"),
    KILL(clone, "no process"),
    KILL(clone3, "no process"),
#ifdef SYS_fork
    KILL(fork, "no process"),
    KILL(vfork, "no process"),
#endif
    KILL(ptrace, "no look into others"),
    KILL(process_vm_readv, "no look into others"),
    KILL(process_vm_writev, "no change of others"),
    KILL(pidfd_getfd, "no descriptor of others"),
    KILL(kill, "no end of others"),
};

void broker_sandbox(const struct conf *conf)
{
    const struct sandbox sandbox = {
        .rules = broker_rules,
        .count = sizeof(broker_rules) / sizeof(broker_rules[0]),
        .otherwise = SANDBOX_ERRNO(EPERM),
        .keeps = SANDBOX_READS_FILES | SANDBOX_CONNECTS,
        /* Neither descriptors nor memory: both grow with the sessions. */
        .limits = {{RLIMIT_NPROC, 0},
                   {RLIMIT_FSIZE, sandbox_file_size(role_log_fd(conf))},
                   {RLIMIT_CORE, conf->mode == CONF_PRODUCTION ? 0 : RLIM_INFINITY}},
    };
    sandbox_close(&sandbox);
}

/* This process and the kernel; see process.h. */
#include "process.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "log.h"
#include "sanitized.h"

/* An ignored SIGCHLD would hide the ends of children, and no ignored signal comes to a signalfd(2).
 * What is not ignored is default, or a handler of a sanitizer. */
static void reset_signals(void)
{
    for (int number = 1; number <= SIGRTMAX; number++) {
        struct sigaction now;
        if (sigaction(number, NULL, &now) == 0 && now.sa_handler == SIG_IGN)
            signal(number, SIG_DFL);
    }
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
}

/* Timers survive execve(2), and their signals would end the process. */
static void stop_timers(void)
{
    static const struct itimerval none;
    setitimer(ITIMER_REAL, &none, NULL);
    setitimer(ITIMER_VIRTUAL, &none, NULL);
    setitimer(ITIMER_PROF, &none, NULL);
}

/* So that no socket or file gets one of these numbers. */
static void fill_standard_descriptors(void)
{
    int fd;
    do
        fd = open("/dev/null", O_RDWR);
    while (fd >= 0 && fd <= STDERR_FILENO);
    if (fd > STDERR_FILENO)
        close(fd);
}

void process_begin(void)
{
    reset_signals();
    stop_timers();
    fill_standard_descriptors();
    umask(S_IWGRP | S_IWOTH);
}

void process_need_descriptors(unsigned long n)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur >= n)
        return;
    limit.rlim_cur = limit.rlim_max < n ? limit.rlim_max : n;
    if (setrlimit(RLIMIT_NOFILE, &limit) < 0 || limit.rlim_cur < n)
        log_warn("at most %llu descriptors where %lu may be needed: raise the limit (LimitNOFILE=, "
                 "ulimit -n), or lower max_clients and max_spare",
                 (unsigned long long)limit.rlim_cur, n);
}

void process_hide(void)
{
/* The leak checker of a sanitizer build looks into its own process by ptrace(2). */
#if !SANITIZED
    if (prctl(PR_SET_DUMPABLE, 0) < 0)
        die("PR_SET_DUMPABLE: %s", strerror(errno));
#endif
}

void process_end(int status)
{
#if SANITIZED
    exit(status);
#else
    _exit(status);
#endif
}

bool process_out_of_descriptors(int error)
{
    return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

int process_open_null(void)
{
    int fd = open("/dev/null", O_RDWR | O_CLOEXEC);
    if (fd < 0)
        die("/dev/null: %s", strerror(errno));
    return fd;
}

void process_leave_terminal(int null)
{
    if (dup2(null, STDIN_FILENO) < 0 || dup2(null, STDOUT_FILENO) < 0)
        die("/dev/null: %s", strerror(errno));
}

void process_place_descriptors(int first, const int *fds, int count)
{
    enum { MOST = 32 };
    if (first < 0 || first > MOST || count > MOST)
        bug("process_place_descriptors of %d at %d", count, first);
    /* Move them all out of the way first: one's place may hold another now. */
    int aside[MOST];
    for (int i = 0; i < count; i++)
        aside[i] = fds[i] < 0 ? -1 : fcntl(fds[i], F_DUPFD_CLOEXEC, first + count);
    for (int i = 0; i < count; i++)
        if (aside[i] >= 0)
            dup2(aside[i], first + i);
        else if (first + i > STDERR_FILENO) /* what the master's parent had left open there */
            close(first + i);
    close_range((unsigned)(first + count), ~0U, 0);
}

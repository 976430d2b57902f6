/*
 * Low priority; see priority.h. Low, not lowest: people can still log in when messages keep the
 * machine busy.
 *
 * A nice value is not enough, for two reasons. With autogroup (sched(7); not in a cgroup that has a
 * weight) the kernel divides the processors among sessions, and nice ranks only the processes
 * within one: no process in chatd's session would yield to PostgreSQL. So a worker has a session of
 * its own, and lowers that. And a woken process waits out the running one's slice, whatever its
 * nice value, unless its own slice is shorter: a message that goes through six processes would wait
 * six times. So a worker's slice is the longest possible. Linux does this since 6.12, and ignores
 * the slice before that.
 */
#include "priority.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched/types.h>
#include <linux/sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "log.h"

enum { NICE = 10, SLICE_NS = 100 * 1000 * 1000 };

static int autogroup = -1, open_error;

void priority_open(void)
{
    autogroup = open("/proc/self/autogroup", O_WRONLY | O_CLOEXEC);
    open_error = autogroup < 0 ? errno : 0;
}

void priority_lower_session(void)
{
    if (autogroup < 0)
        return;
    char text[16];
    int n = snprintf(text, sizeof(text), "%d", NICE);
    if (write(autogroup, text, (size_t)n) < 0) {
        if (errno == EAGAIN)
            return;
        log_warn("the priority of a worker's session: %s", strerror(errno));
    }
    close(autogroup);
    autogroup = -1;
}

void priority_lower(void)
{
    if (open_error && open_error != ENOENT) /* without this file there is no autogroup */
        log_warn("/proc/self/autogroup: %s", strerror(open_error));
    if (autogroup >= 0 && setsid() < 0)
        log_warn("setsid: %s", strerror(errno));
    priority_lower_session();
    int niceness = getpriority(PRIO_PROCESS, 0) + NICE;
    struct sched_attr attr = {.size = sizeof(attr),
                              .sched_policy = SCHED_BATCH,
                              .sched_nice = niceness < 19 ? niceness : 19,
                              .sched_runtime = SLICE_NS};
    if (syscall(SYS_sched_setattr, 0, &attr, 0) < 0)
        log_warn("the priority of a worker: %s", strerror(errno));
}

/*
 * Low priority; see priority.h. Low, not least: a machine that is busy with messages still lets
 * people log in.
 *
 * To be nice is not enough, in two ways. Where the kernel shares the processors out among sessions
 * (sched(7), autogroup; not below a cgroup that has a weight), it ranks the processes of one
 * session only, and nothing in that of chatd would yield to PostgreSQL: so a worker has a session
 * of its own, and that is nice. And who is woken waits for the slice of who runs, nice or not,
 * unless its own is the shorter: a message that goes through six processes would wait six times. So
 * a worker's slice is the longest there is. Linux has it so since 6.12, and ignores the slice
 * before that.
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
    if (open_error && open_error != ENOENT) /* without this file sessions do not count */
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

/*
 * Low priority; see priority.h. Low, not least: a machine that is busy with messages still lets
 * people log in.
 *
 * To be nice is not enough, in two ways. Where the kernel shares the processors out among sessions
 * (sched(7), autogroup), it ranks the processes of one session only, and nothing in that of chatd
 * would yield to PostgreSQL: so a worker has a session of its own, and that is nice. And who is
 * woken waits for the slice of who runs, nice or not, unless its own is the shorter: a message that
 * goes through six processes would wait six times. So a worker's slice is the longest there is.
 * Linux has it so since 6.12, and ignores the slice before that.
 */
#include "priority.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/sched/types.h>
#include <linux/sched.h>
#include <stdbool.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "log.h"

enum { NICE = 10, TRIES = 100, PAUSE_NS = 100 * 1000 * 1000, SLICE_NS = 100 * 1000 * 1000 };
static const char nice_text[] = "10";

/* Of all processes without privileges together the kernel takes ten of these a second. */
static bool lower_session(int fd)
{
    const struct timespec pause = {0, PAUSE_NS};
    for (int i = 0; i < TRIES; i++) {
        if (write(fd, nice_text, strlen(nice_text)) >= 0)
            return true;
        if (errno != EAGAIN)
            return false;
        nanosleep(&pause, NULL);
    }
    return false;
}

void priority_lower(void)
{
    /* Without this file sessions do not count. */
    int fd = open("/proc/self/autogroup", O_WRONLY | O_CLOEXEC);
    if (fd >= 0) {
        if (setsid() < 0 || !lower_session(fd))
            log_warn("the priority of a session: %s", strerror(errno));
        close(fd);
    }
    struct sched_attr attr = {.size = sizeof(attr),
                              .sched_policy = SCHED_BATCH,
                              .sched_nice = NICE,
                              .sched_runtime = SLICE_NS};
    if (syscall(SYS_sched_setattr, 0, &attr, 0) < 0)
        log_warn("sched_setattr: %s", strerror(errno));
}

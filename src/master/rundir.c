/* run_dir; see rundir.h. */
#include "rundir.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "log.h"

#define SOCKET_NAME "broker.sock"
#define LOCK_NAME   "lock"

static char own_path[PATH_MAX]; /* absolute; empty: the directory is not ours to remove */
static int lock = -1;

static void take_lock(const char *path)
{
    /* Held, by the open file, until this process is gone; it is not inherited through exec. */
    lock = open(LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lock < 0)
        die("run_dir: %s/%s: %s", path, LOCK_NAME, strerror(errno));
    if (flock(lock, LOCK_EX | LOCK_NB) < 0)
        die("run_dir: %s is in use by another chatd; give this one a run_dir of its own", path);
}

static int listen_here(const char *path, int backlog)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = SOCKET_NAME};
    unlink(SOCKET_NAME);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
        chmod(SOCKET_NAME, 0600) < 0 || listen(fd, backlog) < 0)
        die("run_dir: %s/%s: %s", path, SOCKET_NAME, strerror(errno));
    return fd;
}

int rundir_enter(const char *path, int backlog, bool own)
{
    char fresh[PATH_MAX];
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        die("run_dir: cannot create %s: %s", path, strerror(errno));
    if (own) {
        snprintf(fresh, sizeof(fresh), "%s/single.XXXXXX", path);
        path = mkdtemp(fresh);
        if (!path)
            die("run_dir: cannot create %s: %s", fresh, strerror(errno));
        if (!realpath(path, own_path))
            die("run_dir: %s: %s", path, strerror(errno));
    }
    struct stat st;
    if (chdir(path) < 0 || stat(".", &st) < 0)
        die("run_dir: %s: %s", path, strerror(errno));
    if (st.st_uid != geteuid() || (st.st_mode & 022))
        die("run_dir: %s must belong to the user that chatd runs as, and be writable by no other",
            path);
    take_lock(path);
    return listen_here(path, backlog);
}

void rundir_leave(void)
{
    if (lock < 0)
        return;
    unlink(SOCKET_NAME);
    if (*own_path) {
        unlink(LOCK_NAME);
        rmdir(own_path);
    }
}

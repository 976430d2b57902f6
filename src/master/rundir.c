/* run_dir; see rundir.h. */
#include "rundir.h"

#include <dirent.h>
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

#include "identity.h"
#include "log.h"

#define SOCKET_NAME    "broker.sock"
#define LOCK_NAME      "lock"
#define TREE_PREFIX    "tree." /* and the pid of the master */
#define CONTROL_PREFIX "control."

static char own[32]; /* our directory, below run_dir */
static int run_dir = -1;
static int lock = -1;
static int control = -1;

enum { CONTROL_BACKLOG = 8 };

/* Takes the lock of the working directory. The open file holds it until this process and its
 * successors are gone. */
static void take_lock(const char *path)
{
    lock = open(LOCK_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    if (lock < 0)
        die("run_dir: %s/%s: %s", path, LOCK_NAME, strerror(errno));
    if (flock(lock, LOCK_EX | LOCK_NB) < 0)
        die("run_dir: %s is in use by another chatd; give this one a run_dir of its own", path);
}

/* Is this the lock of the working directory? Not if run_dir was changed for this server. */
static bool inherit_lock(int fd)
{
    struct stat theirs, ours;
    if (fd < 0)
        return false;
    if (fstat(fd, &theirs) == 0 && stat(LOCK_NAME, &ours) == 0 && theirs.st_dev == ours.st_dev &&
        theirs.st_ino == ours.st_ino && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0) {
        lock = fd;
        return true;
    }
    close(fd);
    return false;
}

static void go_to(const char *path)
{
    if (chdir(path) < 0)
        die("run_dir: %s: %s", path, strerror(errno));
}

/* Only we may write to the directory: sessions trust the socket's name in it. */
static void check_owner(const char *path)
{
    struct stat st;
    if (stat(".", &st) < 0)
        die("run_dir: %s: %s", path, strerror(errno));
    if (st.st_uid != geteuid() || (st.st_mode & 022))
        die("run_dir: %s must belong to the user that chatd is started by, and be writable by no "
            "other; set run_dir to another folder, or chown it and chmod go-w",
            path);
}

/* Removes a directory of a server that is gone. */
static void clear_tree(const char *name)
{
    char socket_path[NAME_MAX + sizeof("/" SOCKET_NAME)];
    snprintf(socket_path, sizeof(socket_path), "%s/%s", name, SOCKET_NAME);
    unlinkat(run_dir, socket_path, 0);
    if (unlinkat(run_dir, name, AT_REMOVEDIR) < 0 && errno != ENOENT)
        log_warn("run_dir: cannot remove %s: %s", name, strerror(errno));
}

static bool begins(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

/* We alone hold the lock, so what else is here belongs to dead servers. */
static void clear_all_trees(void)
{
    DIR *dir = opendir(".");
    if (!dir)
        die("run_dir: %s", strerror(errno));
    const struct dirent *entry;
    while ((entry = readdir(dir)))
        if (begins(entry->d_name, TREE_PREFIX))
            clear_tree(entry->d_name);
        else if (begins(entry->d_name, CONTROL_PREFIX))
            unlinkat(run_dir, entry->d_name, 0);
    closedir(dir);
}

void rundir_clear(pid_t pid)
{
    char name[32];
    snprintf(name, sizeof(name), TREE_PREFIX "%d", (int)pid);
    clear_tree(name);
    snprintf(name, sizeof(name), CONTROL_PREFIX "%d", (int)pid);
    unlinkat(run_dir, name, 0);
}

/* Makes this server's own directory. */
static void make_own(const char *path, bool single)
{
    snprintf(own, sizeof(own), single ? "single.XXXXXX" : TREE_PREFIX "%d", (int)getpid());
    if (single ? !mkdtemp(own) : mkdir(own, 0700) < 0)
        die("run_dir: cannot create a directory in %s: %s", path, strerror(errno));
    go_to(own);
    check_owner(own);
}

/* The sessions' group may enter this directory and connect to the socket, but cannot traverse
 * run_dir to reach it: a session must be there already. */
static void let_in(const char *path, const struct identity *who)
{
    if (who->changes &&
        (chown(".", (uid_t)-1, who->gid) < 0 || chown(SOCKET_NAME, (uid_t)-1, who->gid) < 0 ||
         chmod(".", 0710) < 0 || chmod(SOCKET_NAME, 0660) < 0))
        die("run_dir: %s/%s: %s", path, own, strerror(errno));
}

static int listen_here(const char *path, int backlog, const struct identity *who)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = SOCKET_NAME};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
        chmod(SOCKET_NAME, 0600) < 0 || listen(fd, backlog) < 0)
        die("run_dir: %s/%s/%s: %s", path, own, SOCKET_NAME, strerror(errno));
    let_in(path, who);
    return fd;
}

static int start_control(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), CONTROL_PREFIX "%d", (int)getpid());
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    mode_t before = umask(0177); /* never open to others, not even for a moment */
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(fd, CONTROL_BACKLOG) < 0)
        die("run_dir: %s/%s: %s", path, address.sun_path, strerror(errno));
    umask(before);
    return fd;
}

int rundir_enter(const char *path, int backlog, bool single, int inherited,
                 const struct identity *who)
{
    if (mkdir(path, 0700) < 0 && errno != EEXIST)
        die("run_dir: cannot create %s: %s; "
            "set run_dir to a folder that you may make or own, as by -o run_dir=/run/user/%d/chatd",
            path, strerror(errno), (int)geteuid());
    go_to(path);
    run_dir = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (run_dir < 0)
        die("run_dir: %s: %s", path, strerror(errno));
    check_owner(path);
    if (!single && inherit_lock(inherited)) {
        rundir_clear(getpid()); /* an earlier server with this pid is dead */
    } else if (!single) {
        take_lock(path);
        clear_all_trees();
    }
    control = single ? -1 : start_control(path);
    make_own(path, single);
    return listen_here(path, backlog, who);
}

int rundir_control(void)
{
    return control;
}

int rundir_lock(void)
{
    return lock;
}

void rundir_leave(void)
{
    clear_tree(own);
    if (control >= 0)
        rundir_clear(getpid());
}

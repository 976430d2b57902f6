/* The log in a file; see logfile.h. */
#include "logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdalign.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "trust.h"

enum { LINES_AT_ONCE = 64 };

static const char *path; /* of the file; NULL: the log goes elsewhere */
static int file = -1;    /* or the journal's socket */

enum { ROLES, EXPORTER, SESSIONS, KINDS };
static struct {
    const char *sender; /* NULL: broker and helpers, who say which of them they are */
    int theirs, ours;
} ends[KINDS] = {{NULL, -1, -1}, {"exporter", -1, -1}, {"session", -1, -1}};

/* The owner of the log decides who may write to it. */
static const char *find_fault(int fd)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return strerror(errno);
    if (!S_ISREG(st.st_mode))
        return NULL;
    st.st_mode &= ~(mode_t)(S_IWGRP | S_IWOTH);
    return st.st_nlink > 1 ? "has another name, too; remove that link" : trust_fault(&st);
}

/* The descriptor, or -1 with the reason. */
static int open_file(const char **why)
{
    int fd = open(
        path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK, 0640);
    if (fd < 0) {
        *why = errno == ELOOP ? "is a symbolic link; name the file itself" : strerror(errno);
        return -1;
    }
    *why = find_fault(fd);
    if (!*why && fcntl(fd, F_SETFL, O_APPEND) == 0)
        return fd;
    close(fd);
    return -1;
}

static void make_sockets(void)
{
    for (int i = 0; i < KINDS; i++) {
        int pair[2], on = 1;
        if (socketpair(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0, pair) < 0 ||
            setsockopt(pair[0], SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0)
            die("log_file: %s", strerror(errno));
        ends[i].ours = pair[0];
        ends[i].theirs = pair[1];
    }
}

void logfile_init(const char *the_path)
{
    const char *why;
    path = the_path;
    file = open_file(&why);
    if (file < 0)
        die("log_file: %s: %s", path, why);
    make_sockets();
}

void logfile_init_journal(const char *socket_path, enum log_level level)
{
    file = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (file < 0 || !log_to_journald(file, socket_path, level))
        die("log_file: %s: %s; does systemd-journald run here?", socket_path, strerror(errno));
    make_sockets();
}

int logfile_fd(void)
{
    return file;
}

static int end_for(int kind, int fd)
{
    return ends[kind].theirs >= 0 ? ends[kind].theirs : fd;
}

int logfile_for_roles(int fd)
{
    return end_for(ROLES, fd);
}

int logfile_for_exporter(int fd)
{
    return end_for(EXPORTER, fd);
}

int logfile_for_sessions(int fd)
{
    return end_for(SESSIONS, fd);
}

int logfile_sockets(int fds[LOGFILE_SOCKETS])
{
    int n = 0;
    for (int i = 0; i < KINDS; i++)
        if (ends[i].ours >= 0)
            fds[n++] = ends[i].ours;
    return n;
}

/* Passes on one line, with the pid of its sender according to the kernel. */
static bool pass_on_one(int fd, const char *sender)
{
    char line[LOG_PACKET + 1];
    alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(struct ucred))];
    struct iovec part = {line, sizeof(line) - 1};
    struct msghdr m = {.msg_iov = &part,
                       .msg_iovlen = 1,
                       .msg_control = control,
                       .msg_controllen = sizeof(control)};
    ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
    if (n < 0)
        return false;
    struct ucred who = {0};
    const struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_CREDENTIALS)
        memcpy(&who, CMSG_DATA(c), sizeof(who));
    line[n] = '\0';
    log_pass_on(line, who.pid, sender);
    return true;
}

bool logfile_pass_on(void)
{
    bool any = false;
    for (int i = 0; i < KINDS && ends[i].ours >= 0; i++)
        for (int n = 0; n < LINES_AT_ONCE && pass_on_one(ends[i].ours, ends[i].sender); n++)
            any = true;
    return any;
}

void logfile_reopen(void)
{
    const char *why;
    int fd = path ? open_file(&why) : -1;
    if (fd >= 0) {
        /* Keep the number: nobody who knows it need be told. */
        dup3(fd, file, O_CLOEXEC);
        close(fd);
    } else if (path) {
        log_error("log_file: %s: %s; the log stays where it is", path, why);
    }
}

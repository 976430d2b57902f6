/* Readiness; see notify.h. */
#include "notify.h"

#include <errno.h>
#include <fcntl.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "log.h"

static struct sockaddr_un address;
static socklen_t address_size;
static char *place; /* as NOTIFY_SOCKET said; NULL: nowhere */
static int ready = -1;

void notify_init(int ready_fd)
{
    ready = ready_fd;
    if (ready >= 0 && fcntl(ready, F_SETFD, FD_CLOEXEC) < 0)
        die("ready_fd: descriptor %d: %s", ready, strerror(errno));
    const char *path = getenv("NOTIFY_SOCKET");
    if (path && (*path == '/' || *path == '@') && strlen(path) < sizeof(address.sun_path)) {
        address.sun_family = AF_UNIX;
        memcpy(address.sun_path, path, strlen(path));
        if (*path == '@')
            address.sun_path[0] = 0; /* the abstract name space, unix(7) */
        address_size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + strlen(path));
        place = xstrdup(path);
    }
    unsetenv("NOTIFY_SOCKET");
}

static void notify(const char *text)
{
    if (!address_size)
        return;
    int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || sendto(fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT,
                         (const struct sockaddr *)&address, address_size) < 0)
        log_warn("NOTIFY_SOCKET: %s", strerror(errno));
    if (fd >= 0)
        close(fd);
}

void notify_ready(const char *names)
{
    static int told;
    if (told++)
        return;
    log_info("ready: %s", names);
    notify("READY=1\n");
    if (ready < 0)
        return;
    char line[600];
    int n = snprintf(line, sizeof(line), "ready %s\n", names);
    if (write(ready, line, (size_t)n) < 0)
        log_warn("ready_fd: %s", strerror(errno));
    close(ready);
    ready = -1;
}

void notify_status(const char *text)
{
    char line[200];
    snprintf(line, sizeof(line), "STATUS=%s\n", text);
    notify(line);
}

void notify_stopping(void)
{
    notify("STOPPING=1\n");
}

void notify_restore(void)
{
    if (place)
        setenv("NOTIFY_SOCKET", place, 1);
}

void notify_successor(pid_t pid)
{
    char line[40];
    snprintf(line, sizeof(line), "MAINPID=%d\n", (int)pid);
    notify(line);
    address_size = 0;
}

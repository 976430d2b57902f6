/* The socket of admin_listen; see admin.h. */
#include "admin.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "binding.h"
#include "log.h"
#include "sockets.h"

enum { BACKLOG = 64 };

static int fd = -1;
static char *path; /* owned: of the Unix socket to remove at the end; NULL: none */

static const struct binding how = {
    "admin_listen", "if another chatd of this host has it, give this one another, or none",
    BACKLOG};

/* Is this the address that is wanted? Port 0 is any. */
static bool is_at(int socket, const struct conf_address *wanted)
{
    char name[SOCKETS_NAME], text[SOCKETS_NAME];
    int port = sockets_name(socket, name);
    if (*wanted->path)
        snprintf(text, sizeof(text), "unix:%s", wanted->path);
    else
        snprintf(text, sizeof(text), strchr(wanted->host, ':') ? "[%s]:%d" : "%s:%d", wanted->host,
                 atoi(wanted->port) ? atoi(wanted->port) : port);
    return strcmp(name, text) == 0;
}

static int bind_at(const struct conf_address *wanted)
{
    int fds[BINDING_MOST];
    if (*wanted->path)
        return binding_unix(&how, wanted->path);
    if (binding_inet(&how, wanted, wanted->port, fds) == 0)
        die("admin_listen: %s port %s could not be bound; choose another address, or none",
            wanted->host, wanted->port);
    return fds[0];
}

void admin_open(const struct conf *conf, int inherited)
{
    struct conf_address wanted;
    struct conf_error e = {""};
    char name[SOCKETS_NAME];
    int some = conf_admin_address(conf, &wanted, &e);
    if (some < 0)
        bug("%s", e.text); /* conf_check() has seen it */
    if (some && inherited >= 0 && is_at(inherited, &wanted))
        fd = inherited;
    else if (inherited >= 0)
        close(inherited);
    if (!some)
        return;
    if (fd < 0)
        fd = bind_at(&wanted);
    if (fcntl(fd, F_SETFL, O_NONBLOCK) < 0 || fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        die("admin_listen: fcntl: %s", strerror(errno));
    path = *wanted.path ? xstrdup(wanted.path) : NULL;
    sockets_name(fd, name);
    log_info("metrics and health: %s", name);
}

int admin_fd(void)
{
    return fd;
}

void admin_leave(void)
{
    if (fd >= 0)
        close(fd);
    fd = -1;
    free(path);
    path = NULL;
}

void admin_close(void)
{
    if (path)
        unlink(path);
    admin_leave();
}

/* The socket of admin_listen; see admin.h. */
#include "admin.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
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

/* What getsockname(2) says. */
union name {
    struct sockaddr any;
    struct sockaddr_in in;
    struct sockaddr_in6 in6;
    struct sockaddr_un un;
};

/* Is b what a asks for? Port 0 asks for any. */
static bool is_same4(const struct sockaddr_in *a, const struct sockaddr_in *b)
{
    return a->sin_addr.s_addr == b->sin_addr.s_addr && (!a->sin_port || a->sin_port == b->sin_port);
}

static bool is_same6(const struct sockaddr_in6 *a, const struct sockaddr_in6 *b)
{
    /* The kernel keeps the scope of these only. */
    bool scoped = IN6_IS_ADDR_LINKLOCAL(&a->sin6_addr);
    return IN6_ARE_ADDR_EQUAL(&a->sin6_addr, &b->sin6_addr) &&
           (!scoped || a->sin6_scope_id == b->sin6_scope_id) &&
           (!a->sin6_port || a->sin6_port == b->sin6_port);
}

static bool is_same(const struct sockaddr *a, const union name *b)
{
    if (a->sa_family != b->any.sa_family)
        return false;
    return a->sa_family == AF_INET ? is_same4((const struct sockaddr_in *)a, &b->in)
                                   : is_same6((const struct sockaddr_in6 *)a, &b->in6);
}

/* As addresses, since there is more than one way to write most of them. */
static bool is_at_inet(const union name *name, const struct conf_address *wanted)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *list;
    if (getaddrinfo(wanted->host, wanted->port, &hints, &list) != 0)
        return false;
    bool same = is_same(list->ai_addr, name);
    freeaddrinfo(list);
    return same;
}

static bool is_at_path(const union name *name, const char *wanted)
{
    return name->any.sa_family == AF_UNIX &&
           strncmp(name->un.sun_path, wanted, sizeof(name->un.sun_path)) == 0;
}

/* Is this socket at the address that is wanted? */
static bool is_at(int socket, const struct conf_address *wanted)
{
    union name name = {.un = {0}};
    socklen_t size = sizeof(name);
    if (getsockname(socket, &name.any, &size) < 0)
        return false;
    return *wanted->path ? is_at_path(&name, wanted->path) : is_at_inet(&name, wanted);
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

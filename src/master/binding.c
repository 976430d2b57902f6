/* Binding sockets; see binding.h. */
#include "binding.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "log.h"

/* Removes the socket at this path if nobody answers there. */
static void remove_stale(const struct binding *how, const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct stat st;
    if (fd < 0)
        die("%s: a Unix socket: %s", how->key, strerror(errno));
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
        die("%s: another server answers at unix:%s; %s", how->key, address->sun_path, how->busy);
    if (errno == ECONNREFUSED && lstat(address->sun_path, &st) == 0 && S_ISSOCK(st.st_mode))
        unlink(address->sun_path);
    close(fd);
}

int binding_unix(const struct binding *how, const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    remove_stale(how, &address);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(fd, how->backlog) < 0)
        die("%s: unix:%s: %s", how->key, path, strerror(errno));
    return fd;
}

static int bind_one(const struct addrinfo *a, int backlog)
{
    int fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        return -1;
    int on = 1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (a->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof(on));
    if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, backlog) == 0)
        return fd;
    int saved = errno;
    close(fd);
    errno = saved;
    return -1;
}

/* A machine without IPv6 should start with the default list all the same. */
static bool family_missing(int error)
{
    return error == EADDRNOTAVAIL || error == EAFNOSUPPORT;
}

/* What to do about it. */
static const char *remedy_of_errno(const struct binding *how, int error)
{
    if (error == EADDRINUSE)
        return how->busy;
    return error == EACCES ? "ports below 1024 are root's (or CAP_NET_BIND_SERVICE)"
                           : "see ip address for those of this machine";
}

int binding_inet(const struct binding *how, const struct conf_address *where, const char *port,
                 int fds[BINDING_MOST])
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *list;
    const char *host = *where->host ? where->host : "*";
    int error = getaddrinfo(*where->host ? host : NULL, port, &hints, &list), count = 0;
    if (error)
        die("%s: %s port %s: %s", how->key, host, port, gai_strerror(error));
    for (const struct addrinfo *a = list; a && count < BINDING_MOST; a = a->ai_next) {
        int fd = bind_one(a, how->backlog);
        if (fd >= 0)
            fds[count++] = fd;
        else if (family_missing(errno))
            log_warn("%s: %s port %s: %s; left out", how->key, host, port, strerror(errno));
        else
            die("%s: %s port %s: %s; %s", how->key, host, port, strerror(errno),
                remedy_of_errno(how, errno));
    }
    freeaddrinfo(list);
    return count;
}

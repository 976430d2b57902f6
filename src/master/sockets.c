/* Listening sockets; see sockets.h. */
#include "sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "binding.h"
#include "log.h"
#include "process.h"

enum { FIRST_LISTEN_FD = 3 }; /* SD_LISTEN_FDS_START */

int sockets_name(int fd, char text[SOCKETS_NAME])
{
    struct sockaddr_storage ss = {0};
    socklen_t size = sizeof(ss);
    char host[INET6_ADDRSTRLEN] = "";
    int port = 0;
    getsockname(fd, (struct sockaddr *)&ss, &size);
    snprintf(text, SOCKETS_NAME, "unix");
    if (ss.ss_family == AF_INET) {
        const struct sockaddr_in *a = (const struct sockaddr_in *)&ss;
        port = ntohs(a->sin_port);
        inet_ntop(AF_INET, &a->sin_addr, host, sizeof(host));
        snprintf(text, SOCKETS_NAME, "%s:%d", host, port);
    } else if (ss.ss_family == AF_INET6) {
        const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)&ss;
        port = ntohs(a->sin6_port);
        inet_ntop(AF_INET6, &a->sin6_addr, host, sizeof(host));
        snprintf(text, SOCKETS_NAME, "[%s]:%d", host, port);
    } else if (ss.ss_family == AF_UNIX) {
        const struct sockaddr_un *a = (const struct sockaddr_un *)&ss;
        snprintf(text, SOCKETS_NAME, "unix:%.*s", (int)sizeof(a->sun_path), a->sun_path);
    }
    return port;
}

static bool is_listening(int fd)
{
    int on = 0;
    socklen_t size = sizeof(on);
    return getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &on, &size) == 0 && on;
}

static void set_flags(int fd)
{
    int flags = fcntl(fd, F_GETFL);
    if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) < 0 ||
        fcntl(fd, F_SETFD, FD_CLOEXEC) < 0)
        die("fcntl on descriptor %d: %s", fd, strerror(errno));
}

/* Appends the address of a listening socket to the names. Returns its port, or 0. */
static int add_name(struct sockets *s, int fd, bool tls)
{
    char text[SOCKETS_NAME];
    int port = sockets_name(fd, text);
    size_t used = strlen(s->names);
    snprintf(s->names + used, sizeof(s->names) - used, "%s%s%s", used ? " " : "", tls ? "tls:" : "",
             text);
    return port;
}

static int add_socket(struct sockets *s, int fd, bool tls)
{
    if (s->count == SOCKETS_MAX)
        die("more than %d addresses to listen on", SOCKETS_MAX);
    set_flags(fd);
    s->fds[s->count] = fd;
    s->tls[s->count++] = tls;
    return add_name(s, fd, tls);
}

static void take_inherited(struct sockets *s, const struct conf *conf, int fd, bool tls)
{
    if (tls && !*conf->tls_certificate_file)
        die("descriptor %d is to speak TLS: set tls_certificate_file and tls_key_file", fd);
    s->handed_over = true;
    if (is_listening(fd)) {
        add_socket(s, fd, tls);
    } else if (s->client < 0) {
        set_flags(fd);
        s->client = fd;
        s->client_tls = tls;
    } else {
        die("descriptor %d is a second connection: one chatd -i serves one", fd);
    }
}

/* Takes the descriptors that systemd says are ours, with their names. */
static void take_listen_fds(struct sockets *s, const struct conf *conf)
{
    const char *pid = getenv("LISTEN_PID"), *fds = getenv("LISTEN_FDS");
    const char *names = getenv("LISTEN_FDNAMES");
    int n = pid && fds && atol(pid) == (long)getpid() ? atoi(fds) : 0;
    char *list = xstrdup(names ? names : ""), *rest = list;
    for (int i = 0; i < n; i++) {
        const char *name = rest ? strsep(&rest, ":") : "";
        bool tls = conf->tls_handed_over ? strcmp(name, "plain") != 0 : strcmp(name, "tls") == 0;
        take_inherited(s, conf, FIRST_LISTEN_FD + i, tls);
    }
    free(list);
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
}

/* inetd puts the socket at descriptors 0 to 2: move it, and put /dev/null there. */
static void take_inetd(struct sockets *s, const struct conf *conf)
{
    struct stat st;
    if (fstat(STDIN_FILENO, &st) < 0 || !S_ISSOCK(st.st_mode))
        die("-i: descriptor 0 is not a socket; this is for inetd and for systemd's Accept=yes");
    int fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 10);
    int null = process_open_null();
    if (fd < 0)
        die("taking over inetd's socket: %s", strerror(errno));
    for (int i = 0; i <= STDERR_FILENO; i++)
        if (fstat(i, &st) < 0 || S_ISSOCK(st.st_mode))
            dup2(null, i);
    close(null);
    s->inetd = true;
    take_inherited(s, conf, fd, conf->tls_handed_over);
}

/* --- binding --- */

static struct binding how(const struct conf *conf)
{
    return (struct binding){"listen", "stop what listens there, or choose another port",
                            conf->backlog};
}

static void bind_unix(struct sockets *s, const struct conf *conf, const char *path, bool tls)
{
    struct binding listen = how(conf);
    int fd = binding_unix(&listen, path);
    s->paths[s->count] = xstrdup(path);
    add_socket(s, fd, tls);
}

/* Binds all addresses of an entry. Returns the port that was taken. */
static int bind_inet(struct sockets *s, const struct conf *conf, const struct conf_address *where,
                     const char *port)
{
    int fds[BINDING_MOST], bound = 0;
    struct binding listen = how(conf);
    int count = binding_inet(&listen, where, port, fds);
    for (int i = 0; i < count; i++)
        bound = add_socket(s, fds[i], where->tls);
    return bound;
}

static void bind_all(struct sockets *s, const struct conf *conf)
{
    const char *rest = conf->listen;
    struct conf_address a;
    struct conf_error e;
    int result, port = conf->port;
    while ((result = conf_next_address(conf, &rest, &a, &e)) > 0) {
        char own[16];
        snprintf(own, sizeof(own), "%d", port);
        int bound = 0;
        if (*a.path)
            bind_unix(s, conf, a.path, a.tls);
        else
            bound = bind_inet(s, conf, &a, *a.port ? a.port : own);
        if (port == 0)
            port = bound; /* any free port, but the same for all */
    }
    if (result < 0)
        die("%s", e.text);
    if (s->count == 0)
        die("listen: no address could be bound");
}

/* The sockets are ours as they were our predecessor's: remove Unix sockets at the end. */
static void own(struct sockets *s)
{
    s->handed_over = false;
    for (int i = 0; i < s->count; i++) {
        struct sockaddr_un address = {0};
        socklen_t size = sizeof(address);
        if (getsockname(s->fds[i], (struct sockaddr *)&address, &size) == 0 &&
            address.sun_family == AF_UNIX)
            s->paths[i] = xstrndup(address.sun_path, sizeof(address.sun_path));
    }
}

void sockets_open(struct sockets *s, const struct conf *conf, bool inetd, bool bound)
{
    *s = (struct sockets){.client = -1};
    take_listen_fds(s, conf);
    if (!s->handed_over && inetd)
        take_inetd(s, conf);
    if (!s->handed_over)
        bind_all(s, conf);
    else if (bound)
        own(s);
}

void sockets_leave(struct sockets *s)
{
    for (int i = 0; i < s->count; i++) {
        close(s->fds[i]);
        free(s->paths[i]);
        s->paths[i] = NULL;
    }
    s->count = 0;
}

void sockets_close(struct sockets *s)
{
    for (int i = 0; i < s->count; i++)
        if (s->paths[i])
            unlink(s->paths[i]);
    sockets_leave(s);
}

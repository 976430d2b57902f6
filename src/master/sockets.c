/* Listening sockets; see sockets.h. */
#include "sockets.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "log.h"
#include "process.h"

enum { FIRST_LISTEN_FD = 3 }; /* SD_LISTEN_FDS_START */

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
    struct sockaddr_storage ss = {0};
    socklen_t size = sizeof(ss);
    char host[INET6_ADDRSTRLEN] = "", text[160] = "unix";
    int port = 0;
    getsockname(fd, (struct sockaddr *)&ss, &size);
    if (ss.ss_family == AF_INET) {
        const struct sockaddr_in *a = (const struct sockaddr_in *)&ss;
        port = ntohs(a->sin_port);
        inet_ntop(AF_INET, &a->sin_addr, host, sizeof(host));
        snprintf(text, sizeof(text), "%s:%d", host, port);
    } else if (ss.ss_family == AF_INET6) {
        const struct sockaddr_in6 *a = (const struct sockaddr_in6 *)&ss;
        port = ntohs(a->sin6_port);
        inet_ntop(AF_INET6, &a->sin6_addr, host, sizeof(host));
        snprintf(text, sizeof(text), "[%s]:%d", host, port);
    } else if (ss.ss_family == AF_UNIX) {
        const struct sockaddr_un *a = (const struct sockaddr_un *)&ss;
        snprintf(text, sizeof(text), "unix:%.*s", (int)sizeof(a->sun_path), a->sun_path);
    }
    size_t used = strlen(s->names);
    snprintf(s->names + used, sizeof(s->names) - used, "%s%s%s", used ? " " : "", tls ? "tls:" : "",
             text);
    return port;
}

static int add(struct sockets *s, int fd, bool tls)
{
    if (s->count == SOCKETS_MAX)
        die("more than %d addresses to listen on", SOCKETS_MAX);
    set_flags(fd);
    s->fds[s->count] = fd;
    s->tls[s->count++] = tls;
    return add_name(s, fd, tls);
}

static void take(struct sockets *s, const struct conf *conf, int fd, bool tls)
{
    if (tls && !*conf->tls_certificate_file)
        die("descriptor %d is to speak TLS: set tls_certificate_file and tls_key_file", fd);
    s->handed_over = true;
    if (is_listening(fd)) {
        add(s, fd, tls);
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
        take(s, conf, FIRST_LISTEN_FD + i, tls);
    }
    free(list);
    unsetenv("LISTEN_PID");
    unsetenv("LISTEN_FDS");
    unsetenv("LISTEN_FDNAMES");
}

/* inetd uses descriptors 0 to 2 for the socket: keep it elsewhere, put /dev/null there. */
static void take_inetd(struct sockets *s, const struct conf *conf)
{
    struct stat st;
    if (fstat(STDIN_FILENO, &st) < 0 || !S_ISSOCK(st.st_mode))
        die("-i: descriptor 0 is no socket; this is for inetd and for systemd's Accept=yes");
    int fd = fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 10);
    int null = process_open_null();
    if (fd < 0)
        die("taking over inetd's socket: %s", strerror(errno));
    for (int i = 0; i <= STDERR_FILENO; i++)
        if (fstat(i, &st) < 0 || S_ISSOCK(st.st_mode))
            dup2(null, i);
    close(null);
    s->inetd = true;
    take(s, conf, fd, conf->tls_handed_over);
}

/* --- binding --- */

/* Nobody answers at this path: what lies there was left behind. */
static void remove_stale(const struct sockaddr_un *address)
{
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    struct stat st;
    if (connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0)
        die("listen: another server answers at unix:%s", address->sun_path);
    if (errno == ECONNREFUSED && lstat(address->sun_path, &st) == 0 && S_ISSOCK(st.st_mode))
        unlink(address->sun_path);
    close(fd);
}

static void bind_unix(struct sockets *s, const struct conf *conf, const char *path, bool tls)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path) || *path != '/')
        die("listen: unix:%s: needs an absolute path of at most %zu bytes", path,
            sizeof(address.sun_path) - 1);
    snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
    remove_stale(&address);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || bind(fd, (const struct sockaddr *)&address, sizeof(address)) < 0 ||
        listen(fd, conf->backlog) < 0)
        die("listen: unix:%s: %s", path, strerror(errno));
    s->paths[s->count] = xstrdup(path);
    add(s, fd, tls);
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

/* Binds all addresses of an entry. Returns the port that was taken. */
static int bind_inet(struct sockets *s, const struct conf *conf, const char *host, const char *port,
                     bool tls)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICHOST | AI_NUMERICSERV};
    struct addrinfo *list;
    int error = getaddrinfo(*host ? host : NULL, port, &hints, &list);
    if (error)
        die("listen: \"%s\" port \"%s\": %s; give an IPv4 address, an IPv6 address in [], * or "
            "unix:/path",
            host, port, gai_strerror(error));
    int bound = 0;
    for (const struct addrinfo *a = list; a; a = a->ai_next) {
        int fd = bind_one(a, conf->backlog);
        if (fd >= 0)
            bound = add(s, fd, tls);
        else if (family_missing(errno))
            log_warn("listen: %s port %s: %s; left out", *host ? host : "*", port, strerror(errno));
        else
            die("listen: %s port %s: %s", *host ? host : "*", port, strerror(errno));
    }
    freeaddrinfo(list);
    return bound;
}

static void bad_entry(const char *entry) __attribute__((noreturn));
static void bad_entry(const char *entry)
{
    die("listen: \"%s\": give an IPv4 address, an IPv6 address in [], * or unix:/path, each but "
        "the last with :port or without, and for TLS with tls: in front; entries are separated by "
        "commas",
        entry);
}

/* The port behind an address, or own if there is none. */
static const char *read_port(const char *entry, const char *text, const char *own)
{
    if (!*text)
        return own;
    size_t n = strlen(text + 1);
    if (*text != ':')
        bad_entry(entry);
    if (n < 1 || n > 5 || strspn(text + 1, "0123456789") != n || atoi(text + 1) > 65535)
        die("listen: \"%s\": port \"%s\" is none from 0 to 65535", entry, text + 1);
    return text + 1;
}

/* One entry of the list: 127.0.0.1, 127.0.0.1:80, [::1], [::1]:80, *, *:80, unix:/path, each with
 * tls: in front or without. */
static void bind_entry(struct sockets *s, const struct conf *conf, const char *entry, int *port)
{
    bool tls = strncmp(entry, "tls:", 4) == 0;
    if (tls)
        entry += 4;
    if (strncmp(entry, "unix:", 5) == 0) {
        bind_unix(s, conf, entry + 5, tls);
        return;
    }
    bool bracket = *entry == '[';
    size_t n = strcspn(entry, bracket ? "]" : ":");
    if (bracket && !entry[n])
        die("listen: \"%s\": the ] is missing", entry);
    if (n == 0 || strpbrk(entry, " \t"))
        bad_entry(entry);
    char own[16];
    snprintf(own, sizeof(own), "%d", *port);
    const char *taken = read_port(entry, entry + n + bracket, own);
    char *host = xstrndup(entry + bracket, n - bracket);
    int bound = bind_inet(s, conf, strcmp(host, "*") == 0 ? "" : host, taken, tls);
    free(host);
    if (*port == 0)
        *port = bound; /* any free one, but the same for all */
}

static void bind_all(struct sockets *s, const struct conf *conf)
{
    char *list = xstrdup(conf->listen), *rest = list, *entry;
    int port = conf->port;
    while ((entry = strsep(&rest, ","))) {
        entry += strspn(entry, " \t");
        size_t n = strlen(entry);
        while (n > 0 && strchr(" \t", entry[n - 1]))
            entry[--n] = 0;
        if (*entry)
            bind_entry(s, conf, entry, &port);
    }
    free(list);
    if (s->count == 0)
        die("listen: no address could be bound");
}

/* The sockets are ours as they were our predecessor's: Unix sockets are to be removed at the end.
 */
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

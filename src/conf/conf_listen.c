/* The entries of listen, and admin_listen; see conf.h. */
#include <netdb.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "conf.h"

enum { PATH_MOST = sizeof(((struct sockaddr_un *)NULL)->sun_path) - 1 };

/* Copies the next entry, without the blanks around it, and cut where it is too long for any. False
 * if there is none. */
static bool next_entry(const char **rest, char *entry, size_t size)
{
    const char *begin = *rest + strspn(*rest, " \t,");
    size_t n = strcspn(begin, ",");
    *rest = begin + n;
    while (n > 0 && strchr(" \t", begin[n - 1]))
        n--;
    snprintf(entry, size, "%.*s", (int)n, begin);
    return n > 0;
}

/* What is read, and of which key. */
struct entry {
    const struct conf *conf;
    enum conf_id key;
    const char *text;
    struct conf_error *error;
};

static int bad_entry(const struct entry *x)
{
    if (x->key == CONF_K_admin_listen)
        return conf_fault(x->conf, x->key, x->error,
                          "\"%.60s\": give one address with its port, such as 127.0.0.1:8079 or "
                          "[::1]:8079, or unix:/path, or nothing",
                          x->text);
    return conf_fault(x->conf, x->key, x->error,
                      "\"%.60s\": give an IPv4 address, an IPv6 address in [], * or unix:/path, "
                      "with :port behind an address or without, and for TLS with tls: in front; "
                      "entries are separated by commas",
                      x->text);
}

static int read_path(const struct entry *x, struct conf_address *a)
{
    const char *path = x->text + strlen("unix:");
    if (*path != '/' || strlen(path) > PATH_MOST)
        return conf_fault(x->conf, x->key, x->error,
                          "\"%.60s\": needs an absolute path of at most %d bytes", x->text,
                          PATH_MOST);
    snprintf(a->path, sizeof(a->path), "%s", path);
    return 1;
}

/* The port behind an address, or none. */
static int read_port(const struct entry *x, const char *text, struct conf_address *a)
{
    if (!*text)
        return 1;
    size_t n = strlen(text + 1);
    if (*text != ':')
        return bad_entry(x);
    if (n < 1 || n > 5 || strspn(text + 1, "0123456789") != n || atoi(text + 1) > 65535)
        return conf_fault(x->conf, x->key, x->error,
                          "\"%.60s\": port \"%.20s\" must be from 0 to 65535", x->text, text + 1);
    snprintf(a->port, sizeof(a->port), "%s", text + 1);
    return 1;
}

/* The address must be numeric: names are not looked up. */
static int check_host(const struct entry *x, const struct conf_address *a)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    struct addrinfo *list;
    if (!*a->host)
        return 1;
    if (getaddrinfo(a->host, NULL, &hints, &list) != 0)
        return bad_entry(x);
    freeaddrinfo(list);
    return 1;
}

static int read_host(const struct entry *x, struct conf_address *a)
{
    const char *text = x->text;
    bool bracket = *text == '[';
    size_t n = strcspn(text, bracket ? "]" : ":");
    if (bracket && !text[n])
        return conf_fault(x->conf, x->key, x->error, "\"%.60s\": the ] is missing", text);
    if (n == 0 || strpbrk(text, " \t") || n - bracket >= sizeof(a->host))
        return bad_entry(x);
    if (n != 1 || *text != '*')
        snprintf(a->host, sizeof(a->host), "%.*s", (int)n - bracket, text + bracket);
    int result = read_port(x, text + n + bracket, a);
    return result < 0 ? -1 : check_host(x, a);
}

static int read_entry(const struct entry *x, struct conf_address *a)
{
    return strncmp(x->text, "unix:", 5) == 0 ? read_path(x, a) : read_host(x, a);
}

int conf_next_address(const struct conf *c, const char **rest, struct conf_address *a,
                      struct conf_error *e)
{
    char text[sizeof("tls:unix:") + PATH_MOST + 2];
    if (!next_entry(rest, text, sizeof(text)))
        return 0;
    *a = (struct conf_address){.tls = strncmp(text, "tls:", 4) == 0};
    return read_entry(&(struct entry){c, CONF_K_listen, text + (a->tls ? 4 : 0), e}, a);
}

int conf_admin_address(const struct conf *c, struct conf_address *a, struct conf_error *e)
{
    const struct entry x = {c, CONF_K_admin_listen, c->admin_listen, e};
    *a = (struct conf_address){.tls = false};
    if (!*x.text)
        return 0;
    if (read_entry(&x, a) < 0)
        return -1;
    return *a->path || (*a->host && *a->port) ? 1 : bad_entry(&x);
}

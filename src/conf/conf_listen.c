/* The entries of listen; see conf.h. */
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

static int bad_entry(const struct conf *c, const char *entry, struct conf_error *e)
{
    return conf_fault(c, CONF_K_listen, e,
                      "\"%.60s\": give an IPv4 address, an IPv6 address in [], * or unix:/path, "
                      "with :port behind an address or without, and for TLS with tls: in front; "
                      "entries are separated by commas",
                      entry);
}

static int read_path(const struct conf *c, const char *entry, struct conf_address *a,
                     struct conf_error *e)
{
    const char *path = entry + strlen("unix:");
    if (*path != '/' || strlen(path) > PATH_MOST)
        return conf_fault(c, CONF_K_listen, e,
                          "\"%.60s\": needs an absolute path of at most %d bytes", entry,
                          PATH_MOST);
    snprintf(a->path, sizeof(a->path), "%s", path);
    return 1;
}

/* The port behind an address, or none. */
static int read_port(const struct conf *c, const char *entry, const char *text,
                     struct conf_address *a, struct conf_error *e)
{
    if (!*text)
        return 1;
    size_t n = strlen(text + 1);
    if (*text != ':')
        return bad_entry(c, entry, e);
    if (n < 1 || n > 5 || strspn(text + 1, "0123456789") != n || atoi(text + 1) > 65535)
        return conf_fault(c, CONF_K_listen, e, "\"%.60s\": port \"%.20s\" must be from 0 to 65535",
                          entry, text + 1);
    snprintf(a->port, sizeof(a->port), "%s", text + 1);
    return 1;
}

/* The address must be numeric: names are not looked up. */
static int check_host(const struct conf *c, const char *entry, const struct conf_address *a,
                      struct conf_error *e)
{
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICHOST};
    struct addrinfo *list;
    if (!*a->host)
        return 1;
    if (getaddrinfo(a->host, NULL, &hints, &list) != 0)
        return bad_entry(c, entry, e);
    freeaddrinfo(list);
    return 1;
}

static int read_host(const struct conf *c, const char *entry, struct conf_address *a,
                     struct conf_error *e)
{
    bool bracket = *entry == '[';
    size_t n = strcspn(entry, bracket ? "]" : ":");
    if (bracket && !entry[n])
        return conf_fault(c, CONF_K_listen, e, "\"%.60s\": the ] is missing", entry);
    if (n == 0 || strpbrk(entry, " \t") || n - bracket >= sizeof(a->host))
        return bad_entry(c, entry, e);
    if (n != 1 || *entry != '*')
        snprintf(a->host, sizeof(a->host), "%.*s", (int)n - bracket, entry + bracket);
    int result = read_port(c, entry, entry + n + bracket, a, e);
    return result < 0 ? -1 : check_host(c, entry, a, e);
}

int conf_next_address(const struct conf *c, const char **rest, struct conf_address *a,
                      struct conf_error *e)
{
    char text[sizeof("tls:unix:") + PATH_MOST + 2], *entry = text;
    if (!next_entry(rest, text, sizeof(text)))
        return 0;
    *a = (struct conf_address){.tls = strncmp(entry, "tls:", 4) == 0};
    if (a->tls)
        entry += 4;
    return strncmp(entry, "unix:", 5) == 0 ? read_path(c, entry, a, e) : read_host(c, entry, a, e);
}

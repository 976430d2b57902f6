/* Clients of trusted proxies; see proxied.h. */
#include "proxied.h"

#include <string.h>

#include "clock.h"
#include "log.h"
#include "proxy.h"

static bool is_trusted(const struct client *c)
{
    return netaddr_listed(&c->from, c->conf->trusted_proxies);
}

bool proxied_begin(struct client *c)
{
    if (!c->conf->proxy_protocol || !is_trusted(c))
        return true;
    uint8_t data[PROXY_MAX];
    struct proxy_header header;
    int64_t deadline = clock_ms() + c->conf->header_timeout;
    size_t n = 0;
    long more;
    /* cppcheck-suppress uninitvar ; the parser sees only the n bytes that were read */
    while ((more = proxy_parse(data, n, &header)) > 0) {
        if (!client_read_exactly(c, data + n, (size_t)more, deadline)) {
            log_debug("the proxy sent an incomplete PROXY header");
            return false;
        }
        n += (size_t)more;
    }
    if (more < 0) {
        c->ending = ENDING_NO_PROXY;
        return false;
    }
    if (header.given) {
        c->from = header.client;
        client_name(c, &c->from);
    }
    return true;
}

bool proxied_request(struct client *c, const struct http_request *r)
{
    if (!c->conf->forwarded_for || !is_trusted(c))
        return false;
    struct netaddr address;
    char text[NETADDR_TEXT];
    if (!proxy_forwarded(r, c->conf->trusted_proxies, &address))
        address = c->from;
    netaddr_format(&address, text);
    if (strcmp(text, c->address) == 0)
        return false;
    client_name(c, &address);
    return true;
}

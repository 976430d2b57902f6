/*
 * What a proxy says about its client: the PROXY protocol, versions 1 and 2, and X-Forwarded-For.
 * Pure parsers; the caller decides whether to trust the proxy.
 */
#ifndef PROXY_H
#define PROXY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "http.h"
#include "netaddr.h"

/* The longest header accepted: version 2 allows 64 kB after the addresses; proxies use a few
 * hundred bytes. */
enum { PROXY_MAX = 2048 };

struct proxy_header {
    bool given;            /* false: the proxy connects for itself, or does not know the client */
    struct netaddr client; /* if given */
};

/* Parses the header of which n bytes are there. Returns how many more bytes to read before the next
 * call, never any beyond the header. 0: it is complete, and *h is set; -1: this is no header. */
long proxy_parse(const uint8_t *data, size_t n, struct proxy_header *h);

/* The client of a request according to X-Forwarded-For: the last address of the list that is not
 * itself in trusted, the configured list. False if there is none, or what a proxy in trusted wrote
 * is no address. */
bool proxy_forwarded(const struct http_request *r, const char *trusted, struct netaddr *client);

#endif

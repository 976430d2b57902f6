/* Binding sockets to listen on, as keys of the configuration name them. Whatever goes wrong ends
 * the program, with the key, the address and the remedy. */
#ifndef BINDING_H
#define BINDING_H

#include "conf.h"

enum { BINDING_MOST = 4 }; /* sockets of one entry: IPv4 and IPv6, with room */

struct binding {
    const char *key;  /* of the configuration */
    const char *busy; /* what to do if somebody listens there already */
    int backlog;
};

/* Binds all addresses of an entry that names no path; what it has no port for gets this one.
 * Returns how many descriptors there are in fds; families that this machine does not have are left
 * out, and logged. */
int binding_inet(const struct binding *how, const struct conf_address *where, const char *port,
                 int fds[BINDING_MOST]);

/* Binds a Unix socket. One that nobody answers at any more is removed first. */
int binding_unix(const struct binding *how, const char *path);

#endif

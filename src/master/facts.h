/*
 * What only the master knows of the server, for operators (operators.h) and for the exporter
 * (monitor.h).
 */
#ifndef FACTS_H
#define FACTS_H

#include <stdbool.h>
#include <stdint.h>

struct buf;

struct facts {
    const char *phase; /* "starting", "serving", "retiring", "draining", "ending" */
    int clients, spares, max_clients;
    uint64_t accepted;  /* connections, in all */
    bool reloaded;      /* the last reload was a success, or there was none */
    int64_t read_at;    /* Unix time: when the configuration in force was read */
    int64_t tls_expiry; /* Unix time: when the certificate of TLS expires; 0: there is none */
};

/* NAME VALUE lines, for broker/control.h. */
void facts_put(const struct facts *f, struct buf *out);

/* The same and more, as in exposition.h. */
void facts_expose(const struct facts *f, struct buf *out);

#endif

/*
 * What the broker has counted, as Prometheus reads it (exposition.h).
 *
 * Each part counts in plain integers of its own, where it happens; here they are put together, when
 * somebody asks. That looks at each peer once, and needs no database.
 */
#ifndef METRICS_H
#define METRICS_H

#include <stdint.h>

struct buf;

/* Puts all numbers. */
void metrics_put(struct buf *out);

/* The peers by the state of their channels, and what waits in the broker for all of them. */
struct metrics_peers {
    uint64_t silent, fresh, requests, online; /* IPC_IS_SILENT, _NEW, _BOUND, _ATTACHED */
    uint64_t behind;                          /* of those online: do not read what they get */
    uint64_t bytes;
};
struct metrics_peers metrics_count_peers(void);

#endif

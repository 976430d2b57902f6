/*
 * Requests to the signer, for the handshakes of sessions. A few are outstanding, the others wait in
 * a bounded queue, and none waits for long.
 */
#ifndef SIGNING_H
#define SIGNING_H

#include "ipc.h"

struct histogram;

/* fd: the broker's end of the packet socket. */
void signing_init(int fd);
void signing_free(void);

/* Called once. done is false without an answer: no signer, or overloaded. An empty signature: the
 * signer refused. */
typedef void signing_done(void *arg, bool done, struct text signature);

struct signing_order {
    uint32_t scheme;
    struct text key, content;
    uint64_t peer; /* the asking peer; nothing is signed for one that is gone */
};

void signing_ask(const struct signing_order *order, signing_done *done, void *arg);

/* How many requests wait for the signer, and how long those that were sent have. */
size_t signing_waiting(void);
const struct histogram *signing_waits(void);

#endif

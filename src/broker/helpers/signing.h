/*
 * Signatures for the handshakes of sessions, which the signer makes: a few requests are out, the
 * others wait in a bounded queue, and none waits for long.
 */
#ifndef SIGNING_H
#define SIGNING_H

#include "ipc.h"

/* fd: the broker's end of the packet socket. */
void signing_init(int fd);
void signing_free(void);

/* Called once. done is false when there was no answer: no signer, or too much to do; an empty
 * signature says that the signer refused. */
typedef void signing_done(void *arg, bool done, struct ipc_text signature);

struct signing_order {
    uint32_t scheme;
    struct ipc_text key, content;
    uint64_t peer; /* who asks; nothing is signed for one that is gone */
};

void signing_ask(const struct signing_order *order, signing_done *done, void *arg);

#endif

/*
 * Requests to the auth workers. At most one per worker is outstanding; the others wait in a bounded
 * queue. A request that gets no answer in time, because its worker died, is given up.
 */
#ifndef HASHING_H
#define HASHING_H

#include <stdbool.h>

#include "ipc.h"

/* fd: the broker's end of the packet socket. */
void hashing_init(int fd);
void hashing_free(void);

/* Called once: with the hash for hashing_hash(), with the result for hashing_verify(). done is
 * false without an answer: no worker, or overloaded. */
typedef void hashing_done(void *arg, bool done, struct ipc_text hash, enum ipc_check check);

void hashing_hash(struct ipc_text password, hashing_done *done, void *arg);

/* hash: empty for a user that does not exist; takes the same time. work: the highest cost among
 * stored hashes, or 0; takes at least that cost's time, see bcrypt.h. */
void hashing_verify(struct ipc_text password, struct ipc_text hash, int work, hashing_done *done,
                    void *arg);

#endif

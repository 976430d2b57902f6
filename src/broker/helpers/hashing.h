/*
 * Work for the auth workers: at most as many requests are out as there are workers, the others
 * wait in a bounded queue, and one that a worker took to its grave is given up after a while.
 */
#ifndef HASHING_H
#define HASHING_H

#include <stdbool.h>

#include "ipc.h"

/* fd: the broker's end of the packet socket. */
void hashing_init(int fd);
void hashing_free(void);

/* Called once: hash for hashing_hash(), right for hashing_verify(). done is false when there was
 * no answer: no worker, or too much to do. */
typedef void hashing_done(void *arg, bool done, struct ipc_text hash, bool right);

void hashing_hash(struct ipc_text password, hashing_done *done, void *arg);
/* hash: empty for a user that does not exist; takes the same time. */
void hashing_verify(struct ipc_text password, struct ipc_text hash, hashing_done *done, void *arg);

#endif

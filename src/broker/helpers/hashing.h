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

/* Called once: with the hash for hashing_hash(), with what became of the comparison for
 * hashing_verify(). done is false when there was no answer: no worker, or too much to do. */
typedef void hashing_done(void *arg, bool done, struct ipc_text hash, enum ipc_check check);

void hashing_hash(struct ipc_text password, hashing_done *done, void *arg);

/* hash: empty for a user that does not exist; takes the same time. work: the highest cost among the
 * hashes that are stored, or 0; it takes that time at least, see bcrypt.h. */
void hashing_verify(struct ipc_text password, struct ipc_text hash, int work, hashing_done *done,
                    void *arg);

#endif

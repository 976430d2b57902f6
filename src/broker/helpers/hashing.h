/*
 * Requests to the auth workers. At most one per worker is outstanding; of the others, auth_queue
 * urgent ones and as many more wait for their turn (waitlist.h). A request that gets no answer in
 * time, because its worker died, is given up.
 */
#ifndef HASHING_H
#define HASHING_H

#include <stdbool.h>

#include "ipc.h"
#include "work.h"

/* For whom a password is hashed. */
struct hashing_client {
    struct work_turn turn;
    uint64_t peer; /* once it has gone, its request is not sent any more; 0: it is in any case */
};

/* fd: the broker's end of the packet socket. */
void hashing_init(int fd);
void hashing_free(void);

/* Called once, perhaps at once: with the hash for hashing_hash(), with the result for
 * hashing_verify(). done is false without an answer: no worker, or overloaded, or the peer has
 * gone. */
typedef void hashing_done(void *arg, bool done, struct text hash, enum ipc_check check);

void hashing_hash(struct hashing_client client, struct text password, hashing_done *done,
                  void *arg);

/* hash: empty for a user that does not exist; takes the same time. work: the highest cost among
 * stored hashes, or 0; takes at least that cost's time, see bcrypt.h. */
void hashing_verify(struct hashing_client client, struct text password, struct text hash, int work,
                    hashing_done *done, void *arg);

/* How many requests wait for an auth worker, and how long those that were sent have. */
size_t hashing_waiting(void);
const struct histogram *hashing_waits(void);

#endif

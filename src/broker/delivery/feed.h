/*
 * What reaches the attached sessions of this host, and how far each of them is.
 *
 * A peer becomes live only after its row is committed: from then on doorbells ring here for it.
 * The database says in the same breath which changes came before; what comes live meanwhile is
 * held and compared, so there is neither a gap nor a repeat. A peer that reads too slowly stops
 * being fed when its queue is full and reads again from its own cursor when the queue is empty.
 */
#ifndef FEED_H
#define FEED_H

#include "event.h"
#include "peer.h"

/* Attaches a bound peer; the ATTACH numbered seq is answered once its row is committed. named: the
 * client's cursor, after which everything is delivered first; empty: none. presence: up to here
 * it knows who is online; 0: it learns that from now on. */
void feed_attach(struct peer *p, uint32_t seq, struct ipc_text named, uint64_t presence);

/* The peer, whose cursor is set, begins: live, or with what it missed. */
void feed_begin(struct peer *p, bool missed);

/* Drops what is under way and reads again, from the peer's cursor, as soon as its queue is empty.
 */
void feed_start_over(struct peer *p);

/* Queues the RESUMED that is due, if one is. */
void feed_put_resumed(struct peer *p);

/* Forgets the peer and has its row removed. Harmless if it is not attached. */
void feed_detach(struct peer *p);

/* Is anybody attached here, beside the connection origin, who is to see a message from sender to
 * receiver? Who attaches later reads it, or begins behind it. */
bool feed_awaits(int64_t sender, uint64_t origin, int64_t receiver);

/* Hands the next change to the peers that it concerns, and moves this host's position on. One that
 * was handed out before is for nobody any more. */
void feed_hand_out(const struct event *e);

/* Hands out the frame that says that this user came or went: to all (audience NULL) or to those
 * users; never to the user's own sessions, which know. */
void feed_status(uint64_t change, int64_t user, const int64_t *audience, size_t count,
                 const char *frame, size_t size);

/* The peer's queue may be empty again. */
void feed_drained(struct peer *p);

/* Lets those try again whose catching up failed. */
void feed_retry(void);

/* The link was lost. */
void feed_link_lost(void);

void feed_free(void);

#endif

/*
 * Delivers changes to the attached sessions of this host, and knows how far each of them is.
 *
 * A peer becomes live only after its row is committed: from then on doorbells ring here for it. The
 * same statement returns the last change before that; changes that arrive meanwhile are held and
 * compared with it, so there is neither a gap nor a repeat. A slow peer is not fed once its queue
 * is full; when the queue is empty it catches up from its own cursor.
 */
#ifndef FEED_H
#define FEED_H

#include "event.h"
#include "peer.h"
#include "status.h"

void feed_init(void);

/* Attaches a bound peer; answers the ATTACH numbered seq once its row is committed. named: the
 * client's cursor; everything after it is delivered first; empty: none. presence: the client knows
 * who is online up to here; 0: only from now on. */
void feed_attach(struct peer *p, uint32_t seq, struct text named, uint64_t presence);

/* Starts a peer whose cursor is set: live, or with what it missed; once the groups of its user are
 * known, if it is in any. */
void feed_begin(struct peer *p, bool missed, bool grouped);

/* Drops what is under way; reads again from the peer's cursor once its queue is empty. */
void feed_start_over(struct peer *p);

/* Queues the peer's RESUMED if one is due. */
void feed_put_resumed(struct peer *p);

/* Forgets the peer and has its row removed. Harmless if it is not attached. */
void feed_detach(struct peer *p);

/* Hands the next change to the peers that it concerns, and advances this host's position. Ignores
 * one that was handed out before. */
void feed_hand_out(const struct event *e);

/* Hands out the frame that says that this user came or went: to all (s->to_all) or to the audience,
 * but never to the user's own sessions. after: only to peers that may have learned from the
 * database what was so after this change; NULL: to all. */
void feed_status(const struct status *s, const uint64_t *after);

/* Hands a frame of the moment to this user's peers; not to those that are behind. */
void feed_ephemeral(int64_t receiver, struct text frame);

/* The numbers of presence changes went back: whatever comes now is new to every peer. */
void feed_presence_back(void);

/* The peer's queue may be empty again. */
void feed_drained(struct peer *p);

/* Retries catch-ups that failed. */
void feed_retry(void);

/* The link is lost. */
void feed_link_lost(void);

void feed_free(void);

#endif

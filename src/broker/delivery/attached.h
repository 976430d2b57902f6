/* Who is attached here: the peers of each user, between feed_attach() and feed_detach(). */
#ifndef ATTACHED_H
#define ATTACHED_H

#include <stdbool.h>

#include "peer.h"

void attached_add(struct peer *p);
void attached_remove(struct peer *p);

/* The user's first peer, or NULL; the others follow by feed.same_user. */
struct peer *attached_first(int64_t user);

/* Walks the first peers of all users: start with *at = 0, NULL at the end. No change meanwhile. */
struct peer *attached_next(size_t *at);

/* Will any peer attached here, other than the connection origin, get a message from sender to
 * receiver? A peer that attaches later reads it, or starts past it. */
bool attached_awaits(int64_t sender, uint64_t origin, int64_t receiver);

/* The same of a message to a group. */
bool attached_group_awaits(int64_t sender, uint64_t origin, int64_t group);

/* What so many copies of a content of this size cost whoever sends it, in bytes of content: those
 * that go to connections are more work than the one that is stored. */
size_t attached_cost(size_t copies, size_t size);

/* The same where another content goes to the same connections with it, which are woken once. */
size_t attached_cost_more(size_t copies, size_t size);

void attached_free(void);

#endif

/*
 * The answers to a peer's messages, each in its place.
 *
 * Acknowledgements take part in the order of changes: one for change 91 goes out when everything
 * before 91 that concerns the peer has. So whatever a client saw last, its cursor is good for
 * coming back. Refusals and duplicates have no place of their own; they keep the order of the
 * messages.
 */
#ifndef ANSWERS_H
#define ANSWERS_H

#include "peer.h"

struct answer_ack {
    struct cursor message;
    bool duplicate;
};

/* A message of this peer is stored: SENT follows. */
void answers_ack(struct peer *p, uint32_t seq, struct answer_ack ack);

/* A message of this peer was refused: FAILED follows. */
void answers_refuse(struct peer *p, uint32_t seq, enum ipc_error error);

/* Queues the answers up to the first that waits for a later change than this. All changes up to it
 * that concern the peer have been queued. */
void answers_put(struct peer *p, uint64_t upto);

/* Changes have been handed out: so is what waited for them. */
void answers_release(void);

/* The database lost changes, perhaps the very messages whose acknowledgements wait: their senders
 * are told to send them again. */
void answers_void(struct peer *p);

void answers_free(void);

#endif

/*
 * What reaches the attached sessions of this host, and how far each of them is.
 *
 * A peer becomes live only after its row is committed: from then on doorbells ring here for it.
 * The database says in the same breath which changes came before; what comes live meanwhile is
 * held and compared, so there is neither a gap nor a repeat. A peer that reads too slowly stops
 * being fed when its queue is full and reads again from its own cursor when the queue is empty.
 *
 * Acknowledgements take part in that order: one for change 91 goes out when everything before 91
 * has. So whatever a client saw last, its cursor is good for coming back.
 */
#ifndef FEED_H
#define FEED_H

#include "db.h"
#include "events.h"
#include "peer.h"

/* Attaches a bound peer; the ATTACH numbered seq is answered once its row is committed. named: the
 * client's cursor, after which everything is delivered first; empty: none. presence: up to here
 * it knows who is online; 0: it learns that from now on. */
void feed_attach(struct peer *p, uint32_t seq, struct ipc_text named, uint64_t presence);

/* The database's answer about a peer's row, which is committed now. */
struct feed_row {
    bool known;           /* the user exists; otherwise there is no row */
    bool honoured;        /* the cursor that was named is good */
    struct cursor cursor; /* whatever comes after it rings here */
    uint64_t presence;
};
void feed_opened(struct peer *p, const struct feed_row *row);

/* An attached peer asks for everything after an older cursor once more, and then for RESUMED;
 * named empty: only for that. */
void feed_resume(struct peer *p, uint32_t seq, struct ipc_text named);

/* A message of this peer is stored: SENT follows in its place among the changes. */
enum feed_place {
    FEED_NEXT,     /* all that comes before it for this peer has been handed out */
    FEED_LATER,    /* something before it may still be read */
    FEED_DUPLICATE /* it was stored long ago */
};
void feed_ack(struct peer *p, uint32_t seq, struct cursor message, enum feed_place place);

/* A message of this peer was refused: FAILED follows behind the answers to those before it. */
void feed_refuse(struct peer *p, uint32_t seq, enum ipc_error error);

/* The host has read further: hands out the answers that waited for that. */
void feed_answers(void);

/* The database lost changes that were handed out: all start anew from this cursor, and are told. */
void feed_restart(struct cursor now);

/* Forgets the peer and has its row removed. Harmless if it is not attached. */
void feed_detach(struct peer *p);

/* Hands a change to the peers that it concerns; feed_flush() then sends what was queued. */
void feed_event(const struct event *e);
void feed_flush(void);

/* Something was put into this peer's queue that the next feed_flush() is to send. */
void feed_queued(struct peer *p);

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

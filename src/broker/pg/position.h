/*
 * Where this host stands in the sequence of changes: up to which one all have been handed out, and
 * up to which one doorbells have rung.
 */
#ifndef POSITION_H
#define POSITION_H

#include <stdbool.h>
#include <stdint.h>

#include "cursor.h"

/* Everything up to here has been handed out. 0 before the first session is attached.
 *
 * This stays true when the other hosts remove this one because it was silent: under its next number
 * it goes on from here. event_read() fails unless the host is attached in the snapshot that it
 * reads, so every reading that succeeds is itself the proof that it skipped nothing. A message of
 * this host is handed out from its answer only if no change lies between it and the position, and
 * to the peers that are attached here, whatever rows the database has. */
struct cursor position(void);

/* Nothing up to start concerns anybody here. For the first session of a fresh broker. */
void position_start(struct cursor start);
bool position_is_started(void);

/* The last change that this host knows to be committed. A database that does not honour it has lost
 * changes, of which a client may know although none was handed out here. */
struct cursor position_known(void);
void position_saw(struct cursor change);

/* The change, and all before it, has been handed out. */
void position_advance(struct cursor to);

/* The database is not what it was: what comes next is what comes after this position. No reading
 * may be under way. */
void position_restart(struct cursor to);

/* A doorbell: the change with this id has been committed. */
void position_rung(uint64_t id);

/* Has a bell named a change that has not been handed out? */
bool position_is_behind(void);

/* A reading begins now. It sees every change that has rung, if it is there at all. */
void position_read(void);

/* Has everything before this change been handed out, or more? Gaps in the ids make the answer
 * false. */
bool position_is_next(uint64_t change);

#endif

/*
 * Where this host stands in the sequence of changes: up to where it has handed them out, and up to
 * where doorbells have rung.
 */
#ifndef POSITION_H
#define POSITION_H

#include <stdbool.h>
#include <stdint.h>

#include "cursor.h"

/* Everything up to here has been handed out. 0 before the first session is attached.
 *
 * This stays true when other hosts remove this one for its silence: under its next number it goes
 * on from here. event_read() fails unless the host is attached in the snapshot that it reads, so a
 * reading that succeeds proves that it skipped nothing. A message of this host is handed out from
 * its answer only if no change lies between it and the position; it goes to the peers attached
 * here, whatever rows the database has. */
struct cursor position(void);

/* Sets the position for the first session of a new broker: nothing up to start concerns anybody
 * here. */
void position_start(struct cursor start);
bool position_is_started(void);

/* The last change that this host knows to be committed. A database that does not honour it has lost
 * changes; a client may know of them even if none was handed out here. */
struct cursor position_known(void);
void position_saw(struct cursor change);

/* The change, and all before it, has been handed out. */
void position_advance(struct cursor to);

/* The database lost changes, or is another: goes on from this position. No reading may be under
 * way. */
void position_restart(struct cursor to);

/* A doorbell: the change with this id has been committed. */
void position_rung(uint64_t id);

/* Has a bell named a change that has not been handed out? */
bool position_is_behind(void);

/* A reading begins now. It sees every change that has rung and still exists. */
void position_read(void);

/* It has ended. more: it ended at a page, and something is left. */
void position_has_read(bool more);

/* Is a change known that has not been handed out, also while it is being read? */
bool position_lags(void);

/* Has everything before this change been handed out, or more? Gaps in the ids give a false
 * negative. */
bool position_is_next(uint64_t change);

#endif

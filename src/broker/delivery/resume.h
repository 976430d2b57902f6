/* Where a peer starts, or starts over: the cursors that clients name, and whether the database
 * honours them. */
#ifndef RESUME_H
#define RESUME_H

#include "db.h"
#include "peer.h"
#include "rows.h"

/* The peer's row is made: answers its ATTACH, and starts it at the cursor that it named, or now. */
void resume_opened(struct peer *p, const struct row *row);

/* RESUME: delivers everything after an older cursor once more, then RESUMED; named empty: only
 * RESUMED. */
void resume_asked(struct peer *p, uint32_t seq, struct text named);

/* The database lost changes that were handed out: tells all peers, and starts them over at this
 * cursor. */
void resume_all(struct cursor now);

#endif

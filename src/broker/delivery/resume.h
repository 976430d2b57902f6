/* Where a peer starts, and starts again: the cursors that clients name, and whether they are good.
 */
#ifndef RESUME_H
#define RESUME_H

#include "db.h"
#include "peer.h"
#include "rows.h"

/* The peer has its row: answers its ATTACH, and begins where it named, or now. */
void resume_opened(struct peer *p, const struct row *row);

/* An attached peer asks for everything after an older cursor once more, and then for RESUMED;
 * named empty: only for that. */
void resume_asked(struct peer *p, uint32_t seq, struct ipc_text named);

/* The database lost changes that were handed out: all start anew from this cursor, and are told. */
void resume_all(struct cursor now);

#endif

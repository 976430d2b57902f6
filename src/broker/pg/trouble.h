/*
 * What keeps the database from being used, and the remedy, in the log.
 *
 * All connections tend to fail at once, for one reason, and again with each new attempt. A line
 * that is the same as the last one, but for the connection's name, is not written again within five
 * minutes, unless a connection came up meanwhile.
 */
#ifndef TROUBLE_H
#define TROUBLE_H

#include <stdbool.h>

/* A connection failed: what failed, and libpq's report of why, of which the first line counts.
 * connecting: it never stood, and the report may have an SQLSTATE (PQERRORS_VERBOSE), for which
 * there is a remedy. Returns whether the server refuses db_user. */
bool trouble_tell(const char *connection, const char *what, const char *why, bool connecting);

/* The connection stands, and the database cannot be used, or a statement failed. */
void trouble_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* A connection is of use: whatever fails next is news. */
void trouble_over(void);

#endif

/*
 * Logs why the database cannot be used, and the remedy.
 *
 * All connections tend to fail at once, for one reason, and again with each attempt. A line that
 * differs from the last one only in the connection's name is not repeated within five minutes,
 * unless a connection came up meanwhile.
 */
#ifndef TROUBLE_H
#define TROUBLE_H

#include <stdbool.h>

/* A connection failed. what failed, and why: libpq's report, of which the first line counts.
 * connecting: it was never up, and the report may have an SQLSTATE (PQERRORS_VERBOSE), for which
 * there is a remedy. Returns whether the server refuses db_user. */
bool trouble_tell(const char *connection, const char *what, const char *why, bool connecting);

/* The connection is up, but the database cannot be used, or a statement failed. */
void trouble_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* A connection works: log the next failure even if it is the same. */
void trouble_over(void);

#endif

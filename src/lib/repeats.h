/*
 * Lines of the log that clients can cause, however often: of one kind and one address a few are
 * written, then one a second; the others are counted, and a line a second says how many they were.
 *
 * For processes that live longer than a client. A fixed table bounds what all addresses together
 * can write; those for which it has no room share an entry for each kind. Lines of other kinds, and
 * those that no client causes, which go to log.h, are never held back. Nothing is while
 * log_level = debug.
 */
#ifndef REPEATS_H
#define REPEATS_H

#include <stdint.h>

#include "log.h"
#include "netaddr.h"

/* Logs a line, or counts it. The place of the format in memory is the kind: pass a literal, and the
 * same one from one place only. from is added to the line, and counts as netaddr_owner() does;
 * NULL: nobody is named. */
void repeats_log(enum log_level level, const struct netaddr *from, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

/* The same, about a session. Lines are counted whatever session they are about. */
void repeats_about(const struct log_session *session, enum log_level level,
                   const struct netaddr *from, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Writes the numbers that are due. Returns when to call again, as clock_ms(), or CLOCK_NEVER. */
int64_t repeats_due(void);

/* Writes all numbers: before the process ends. */
void repeats_end(void);

#endif

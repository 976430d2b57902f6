/*
 * A line of the log in each of its forms: text for people, logfmt, JSON, the fields of
 * systemd-journald, and what another process sends the master.
 *
 * No text, whoever chose its bytes, can end a line, end a value or add a key: text has ? for each
 * control character; logfmt and JSON escape quotes, backslashes and whatever disturbs a terminal,
 * and have U+FFFD for what is not UTF-8. A line that is too long loses the end of its text, and
 * stays well-formed. Nothing is allocated.
 */
#ifndef LOG_LINE_H
#define LOG_LINE_H

#include <stddef.h>
#include <time.h>

#include "log.h"

/* No string is NULL; an empty session, user or client is left out. */
struct log_line {
    enum log_level level;
    struct timespec time; /* CLOCK_REALTIME */
    const char *process;  /* "": the sender gave no name */
    int pid;              /* 0: none, as before the configuration is read */
    const char *session;  /* the id of the one that the line is about */
    const char *user;     /* of that session */
    const char *client;   /* its address, if the line is its own */
    const char *text;
};

/* The level as syslog(3) counts. */
int log_line_priority(enum log_level level);

/* Each writes the line into out and returns its length; size is LOG_LINE at least. */

/* "session[4711] alice 192.0.2.1: text" without a newline or a NUL in it, and with a NUL behind. */
size_t log_line_bare(char *out, size_t size, const struct log_line *l);

/* The same with time and level in front, and a newline. */
size_t log_line_text(char *out, size_t size, const struct log_line *l);

/* logfmt or JSON, with a newline. */
size_t log_line_pairs(char *out, size_t size, enum log_format format, const struct log_line *l);

/* Fields of the native protocol of systemd-journald. */
size_t log_line_journald(char *out, size_t size, const struct log_line *l);

/* What log_line_read() reads; the time is the reader's. */
size_t log_line_packet(char *out, size_t size, const struct log_line *l);

/* Takes a packet apart, in place. False if it is none: then all of it is the text, and the level a
 * warning unless it begins with one. Believes what it reads. */
bool log_line_read(char *packet, struct log_line *l);

#endif

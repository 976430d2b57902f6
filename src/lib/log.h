/*
 * Logging and the two ways to end: die() when the world fails, bug() when we do.
 *
 * One line, one write(2) or send(2), so that lines of many processes never mix. Every line names
 * its process (log_ident), so that a session's lines can be found. No line ever has a password, a
 * token, a key or the content of a message.
 */
#ifndef LOG_H
#define LOG_H

#include <stdbool.h>
#include <stddef.h>

enum log_level { LOG_L_ERROR, LOG_L_WARN, LOG_L_INFO, LOG_L_DEBUG };

/* Where a log goes. To the journal and to the master a line has its priority in front, <4>, and no
 * time, which they add: sd-daemon(3), log_pass_on(). */
enum log_kind { LOG_TO_SYSLOG, LOG_TO_FILE, LOG_TO_JOURNAL, LOG_TO_MASTER };

/* What this descriptor is: -1 syslog(3), the stream that JOURNAL_STREAM names, a datagram socket,
 * or anything else that can be written to. */
enum log_kind log_kind(int fd);

/* Starts logging to fd (not owned) of this kind, up to level. Opens everything at once: a sandboxed
 * process cannot later. */
void log_init(int fd, enum log_kind kind, enum log_level level);

enum { LOG_LINE = 1100 }; /* bytes of a line at most */

/* Logs a line that another process has sent, with that process's pid. Does not trust the text, and
 * changes it. */
void log_pass_on(char *line, int pid);

/* Gives up the descriptor of syslog(3), if there is one, before descriptors are closed and put in
 * place; log_init() gets another. */
void log_close(void);

/* Sets the name at the start of each line, such as "session[4711] alice". Copied, cut at 63 bytes.
 */
void log_ident(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The same at any level, and whether lines of that level are written. */
void log_at(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool log_takes(enum log_level level);

/* Logs an error and exits with status 1: a failed system call, a lack of memory. */
void die(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* Logs an error and aborts: something that this program believed to be impossible. */
void bug(const char *fmt, ...) __attribute__((noreturn, format(printf, 1, 2)));

/* Allocation that dies rather than fails. Results are owned by the caller, for free(3). */
void *xcalloc(size_t count, size_t size);
void *xrealloc(void *p, size_t size);
char *xstrdup(const char *s);
char *xstrndup(const char *s, size_t n);

#endif

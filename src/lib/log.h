/*
 * Logging and the two ways to end: die() when the world fails, bug() when we do.
 *
 * One line, one write(2) or send(2), so that lines of many processes never mix. Every line names
 * its process (log_process), and those about a session its id, so that its lines can be found. No
 * line ever has a password, a token, a key or the content of a message.
 */
#ifndef LOG_H
#define LOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum log_level { LOG_L_ERROR, LOG_L_WARN, LOG_L_INFO, LOG_L_DEBUG };

/* What a line looks like: the words of log_format. */
enum log_format { LOG_F_TEXT, LOG_F_LOGFMT, LOG_F_JSON };

/* Where a log goes. To syslog(3), and to the journal as a stream, a text has no time, which they
 * add; to that stream each line has its priority in front, <4>: sd-daemon(3). To the master and to
 * systemd-journald (log_to_journald()) goes a packet of fields. */
enum log_kind { LOG_TO_SYSLOG, LOG_TO_FILE, LOG_TO_JOURNAL, LOG_TO_MASTER, LOG_TO_JOURNALD };

/* What this descriptor is: -1 syslog(3), the stream that JOURNAL_STREAM names, a datagram socket,
 * whose other end is the master's, or anything else that can be written to. */
enum log_kind log_kind(int fd);

/* Starts logging to fd (not owned) of this kind, up to level. Opens everything at once: a sandboxed
 * process cannot later. */
void log_init(int fd, enum log_kind kind, enum log_level level);

/* Starts logging to systemd-journald, whose datagram socket has this path (kept), through fd (not
 * owned, AF_UNIX): false with errno if nobody listens there. A journald that restarts is found
 * again. */
bool log_to_journald(int fd, const char *path, enum log_level level);

/* Changes the level; what lines look like, at first LOG_F_TEXT. Children inherit both. */
void log_set_level(enum log_level level);
void log_set_format(enum log_format format);

enum {
    LOG_PACKET = 1100, /* bytes of what the master is sent, at most */
    LOG_LINE = 4096,   /* of a line; a pipe takes so many at once */
};

/* Logs what another process has sent, with that process's pid. sender: who it is; NULL: one that is
 * believed when it says so. Does not trust the rest: it gives the text, a level, and of a session
 * the user and the address, but no other process's pid or id. Changes it. */
void log_pass_on(char *packet, int pid, const char *sender);

/* Gives up the descriptor of syslog(3), if there is one, before descriptors are closed and put in
 * place; log_init() gets another. */
void log_close(void);

/* Names this process at the start of its lines, as name[pid]. */
void log_process(const char *name);

/* A session, for whom a line is about it. */
struct log_session {
    int pid;          /* 0: none */
    uint32_t mark;    /* drawn by the master: tells it from another one with that pid */
    const char *user; /* NULL: not known, or not signed in */
};

/* This process is the session with this mark; and serves this client, as this user (NULL: not
 * known). Both are copied, control characters blanked. */
void log_is_session(uint32_t mark);
void log_client(const char *user, const char *address);

void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warn(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* The same at any level, and whether lines of that level are written. */
void log_at(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool log_takes(enum log_level level);

/* The same, about a session; NULL: about none. */
void log_about(const struct log_session *session, enum log_level level, const char *fmt, ...)
    __attribute__((format(printf, 3, 4)));

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

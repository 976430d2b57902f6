/* Logging, die and bug; see log.h. */
#include "log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

#include "log_line.h"

static int log_fd = STDERR_FILENO;
static enum log_kind log_to = LOG_TO_FILE;
static enum log_format log_format = LOG_F_TEXT;
static struct sockaddr_un journald = {.sun_family = AF_UNIX};
static unsigned lost; /* lines that the master, or journald, had no room for */
static enum log_level log_max = LOG_L_INFO;

enum { ID = 24 }; /* bytes of a session's id */

/* Who writes. */
static struct {
    const char *process;
    int pid;
    char session[ID];
    char user[64], client[64]; /* that a session serves */
} self = {.process = "chatd"};

/* JOURNAL_STREAM is device and inode of what systemd has connected to standard error. */
static bool is_journal(const struct stat *st)
{
    const char *text = getenv("JOURNAL_STREAM");
    unsigned long long device, inode;
    return text && sscanf(text, "%llu:%llu", &device, &inode) == 2 && device == st->st_dev &&
           inode == st->st_ino;
}

enum log_kind log_kind(int fd)
{
    struct stat st;
    int type = 0;
    socklen_t size = sizeof(type);
    if (fd < 0)
        return LOG_TO_SYSLOG;
    if (fstat(fd, &st) < 0 || !S_ISSOCK(st.st_mode))
        return LOG_TO_FILE;
    if (is_journal(&st))
        return LOG_TO_JOURNAL;
    getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size);
    return type == SOCK_DGRAM ? LOG_TO_MASTER : LOG_TO_FILE;
}

void log_init(int fd, enum log_kind kind, enum log_level level)
{
    log_fd = fd;
    log_to = kind;
    log_max = level;
    static bool zone_known; /* read once: sessions inherit it from the master */
    if (!zone_known)
        tzset();
    zone_known = true;
    if (kind == LOG_TO_SYSLOG)
        openlog("chatd", LOG_PID | LOG_NDELAY, LOG_DAEMON);
}

void log_close(void)
{
    closelog();
}

/* The socket is named again when it is gone. */
static bool send_to_journald(const char *line, size_t n)
{
    const struct sockaddr *a = (const struct sockaddr *)&journald;
    enum { HOW = MSG_DONTWAIT | MSG_NOSIGNAL };
    return send(log_fd, line, n, HOW) >= 0 ||
           (errno != EAGAIN && connect(log_fd, a, sizeof(journald)) == 0 &&
            send(log_fd, line, n, HOW) >= 0);
}

bool log_to_journald(int fd, const char *path, enum log_level level)
{
    if (strlen(path) >= sizeof(journald.sun_path)) {
        errno = ENAMETOOLONG;
        return false;
    }
    snprintf(journald.sun_path, sizeof(journald.sun_path), "%s", path);
    if (connect(fd, (const struct sockaddr *)&journald, sizeof(journald)) < 0)
        return false;
    log_init(fd, LOG_TO_JOURNALD, level);
    return true;
}

void log_set_level(enum log_level level)
{
    log_max = level;
}

void log_set_format(enum log_format format)
{
    log_format = format;
}

void log_process(const char *name)
{
    self.process = name;
    self.pid = (int)getpid();
}

/* Whoever writes down another's id has the pid from the kernel, and only the mark from that process
 * itself: it can lie about which of all processes with that pid it is, and no more. */
static void format_id(char out[ID], int pid, uint32_t mark)
{
    snprintf(out, ID, "%d.%08" PRIx32, pid, mark);
}

void log_is_session(uint32_t mark)
{
    log_process("session");
    lost = 0; /* by the master, which says so itself */
    format_id(self.session, self.pid, mark);
}

void log_client(const char *user, const char *address)
{
    snprintf(self.user, sizeof(self.user), "%s", user ? user : "");
    snprintf(self.client, sizeof(self.client), "%s", address);
}

/* Returns the length in this process's form. */
static size_t format_line(char out[LOG_LINE], const struct log_line *l)
{
    if (log_to == LOG_TO_MASTER)
        return log_line_packet(out, LOG_PACKET, l);
    if (log_to == LOG_TO_JOURNALD)
        return log_line_journald(out, LOG_LINE, l);
    if (log_format != LOG_F_TEXT)
        return log_line_pairs(out, LOG_LINE, log_format, l);
    if (log_to == LOG_TO_FILE)
        return log_line_text(out, LOG_LINE, l);
    size_t n = log_line_bare(out, LOG_LINE - 1, l);
    if (log_to == LOG_TO_JOURNAL)
        out[n++] = '\n';
    out[n] = '\0';
    return n;
}

/* A log that cannot be written cannot report that. To the master and journald: rather lose a line
 * than wait. */
static void put(const struct log_line *l)
{
    char line[8 + LOG_LINE], *text = line + 3;
    size_t n = format_line(text, l);
    int priority = log_line_priority(l->level);
    if (log_to == LOG_TO_SYSLOG) {
        syslog(priority, "%s", text);
    } else if (log_to == LOG_TO_FILE) {
        (void)!write(log_fd, text, n);
    } else if (log_to == LOG_TO_JOURNAL) {
        memcpy(line, (char[]){'<', (char)('0' + priority), '>'}, 3);
        (void)!write(log_fd, line, n + 3);
    } else if (log_to == LOG_TO_MASTER) {
        lost += send(log_fd, text, n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0;
    } else {
        lost += !send_to_journald(text, n);
    }
}

/* A line of this process, as of now. */
static struct log_line line_of(enum log_level level, const char *text)
{
    struct log_line l = {.level = level,
                         .process = self.process,
                         .pid = self.pid,
                         .session = self.session,
                         .user = self.user,
                         .client = self.client,
                         .text = text};
    clock_gettime(CLOCK_REALTIME, &l.time);
    return l;
}

bool log_takes(enum log_level level)
{
    return level <= log_max;
}

static void tell_of_lost(void)
{
    char text[64];
    const unsigned count = lost;
    if (count == 0)
        return;
    snprintf(text, sizeof(text), "%u lines of the log before this one were lost", count);
    lost = 0;
    const struct log_line l = line_of(LOG_L_WARN, text);
    put(&l);
    if (lost > 0) /* that one, too */
        lost = count;
}

__attribute__((format(printf, 3, 0))) static void
vlog(const struct log_session *about, enum log_level level, const char *fmt, va_list ap)
{
    if (!log_takes(level))
        return;
    int saved = errno;
    char text[900], id[ID];
    vsnprintf(text, sizeof(text), fmt, ap);
    tell_of_lost();
    struct log_line l = line_of(level, text);
    if (about && about->pid) {
        format_id(id, about->pid, about->mark);
        l.session = id;
        l.user = about->user ? about->user : "";
    }
    put(&l);
    errno = saved;
}

/* Is this the id of the session with this pid; 0: of any? */
static bool is_id(const char *id, int pid)
{
    char *dot;
    long number = strtol(id, &dot, 10);
    return *id >= '1' && *id <= '9' && (!pid || number == pid) && *dot == '.' && strlen(dot) == 9 &&
           strspn(dot + 1, "0123456789abcdef") == 8;
}

void log_pass_on(char *packet, int pid, const char *sender)
{
    struct log_line l;
    char *end = strchr(packet, '\n');
    if (end && !end[1])
        *end = '\0';
    bool whole = log_line_read(packet, &l);
    if (whole && sender)
        l.process = sender;
    if (!is_id(l.session, sender ? pid : 0))
        l.session = "";
    l.pid = pid;
    tell_of_lost();
    clock_gettime(CLOCK_REALTIME, &l.time);
    put(&l);
}

#define LOG_FUNCTION(function, level)                                                              \
    void function(const char *fmt, ...)                                                            \
    {                                                                                              \
        va_list ap;                                                                                \
        va_start(ap, fmt);                                                                         \
        vlog(NULL, level, fmt, ap);                                                                \
        va_end(ap);                                                                                \
    }

LOG_FUNCTION(log_error, LOG_L_ERROR)
LOG_FUNCTION(log_warn, LOG_L_WARN)
LOG_FUNCTION(log_info, LOG_L_INFO)
LOG_FUNCTION(log_debug, LOG_L_DEBUG)

void log_at(enum log_level level, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vlog(NULL, level, fmt, ap);
    va_end(ap);
}

void log_about(const struct log_session *session, enum log_level level, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vlog(session, level, fmt, ap);
    va_end(ap);
}

void die(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vlog(NULL, LOG_L_ERROR, fmt, ap);
    va_end(ap);
    exit(1);
}

void bug(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vlog(NULL, LOG_L_ERROR, fmt, ap);
    va_end(ap);
    abort();
}

void *xcalloc(size_t count, size_t size)
{
    void *p = calloc(count, size);
    if (!p)
        die("out of memory: %zu times %zu bytes", count, size);
    return p;
}

void *xrealloc(void *p, size_t size)
{
    void *resized = realloc(p, size);
    if (!resized)
        die("out of memory: %zu bytes", size);
    return resized;
}

char *xstrdup(const char *s)
{
    return xstrndup(s, strlen(s));
}

char *xstrndup(const char *s, size_t n)
{
    char *p = xcalloc(n + 1, 1);
    memcpy(p, s, n);
    return p;
}

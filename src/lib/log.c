/* Logging, die and bug; see log.h. */
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

static int log_fd = STDERR_FILENO;
static enum log_kind log_to = LOG_TO_FILE;
static unsigned lost; /* lines that the master had no room for */
static enum log_level log_max = LOG_L_INFO;
static char ident[64] = "chatd";

static const struct {
    const char *name;
    int priority;
} levels[] = {
    [LOG_L_ERROR] = {"error", LOG_ERR},
    [LOG_L_WARN] = {"warning", LOG_WARNING},
    [LOG_L_INFO] = {"info", LOG_INFO},
    [LOG_L_DEBUG] = {"debug", LOG_DEBUG},
};

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

/* Control characters in a line could forge another line or drive a terminal. */
static void blank_controls(char *s)
{
    for (; *s; s++)
        if ((unsigned char)*s < 0x20 || *s == 0x7f)
            *s = '?';
}

void log_ident(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(ident, sizeof(ident), fmt, ap);
    va_end(ap);
    blank_controls(ident);
}

/* A log that cannot be written cannot report that. */
static void put_stamped(enum log_level level, const char *who, const char *text)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    struct tm tm;
    gmtime_r(&now.tv_sec, &tm);
    char stamp[32], line[LOG_LINE];
    strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
    int n = snprintf(line, sizeof(line), "%s.%03ldZ %s %s%s\n", stamp, now.tv_nsec / 1000000,
                     levels[level].name, who, text);
    if (n >= (int)sizeof(line)) {
        n = sizeof(line) - 1;
        line[n - 1] = '\n';
    }
    (void)!write(log_fd, line, (size_t)n);
}

static void put_with_priority(enum log_level level, const char *text)
{
    char line[LOG_LINE];
    int n = snprintf(line, sizeof(line), "<%d>%s: %s\n", levels[level].priority, ident, text);
    if (log_to == LOG_TO_JOURNAL)
        (void)!write(log_fd, line, (size_t)n);
    else if (send(log_fd, line, (size_t)n, MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
        lost++; /* rather than wait */
}

static void put(enum log_level level, const char *text)
{
    char who[sizeof(ident) + 2];
    snprintf(who, sizeof(who), "%s: ", ident);
    if (log_to == LOG_TO_SYSLOG)
        syslog(levels[level].priority, "%s%s", who, text);
    else if (log_to == LOG_TO_FILE)
        put_stamped(level, who, text);
    else
        put_with_priority(level, text);
}

bool log_takes(enum log_level level)
{
    return level <= log_max;
}

static void tell_of_lost(void)
{
    char text[64];
    snprintf(text, sizeof(text), "%u lines of the log before this one were lost", lost);
    lost = 0;
    put(LOG_L_WARN, text);
}

__attribute__((format(printf, 2, 0))) static void vlog(enum log_level level, const char *fmt,
                                                       va_list ap)
{
    if (!log_takes(level))
        return;
    int saved = errno;
    char text[900];
    vsnprintf(text, sizeof(text), fmt, ap);
    blank_controls(text);
    if (lost > 0)
        tell_of_lost();
    put(level, text);
    errno = saved;
}

void log_pass_on(char *line, int pid)
{
    enum log_level level = LOG_L_WARN;
    char prefix[24], *end = strchr(line, '\n');
    if (end && !end[1])
        *end = '\0';
    blank_controls(line);
    for (size_t i = 0; i < sizeof(levels) / sizeof(levels[0]); i++) {
        snprintf(prefix, sizeof(prefix), "<%d>", levels[i].priority);
        if (strncmp(line, prefix, strlen(prefix)) == 0) {
            level = (enum log_level)i;
            line += strlen(prefix);
        }
    }
    /* The line begins with the sender's name, session[4711], which is not trusted. */
    snprintf(prefix, sizeof(prefix), "[%d]", pid);
    const char *number = strchr(line, '[');
    bool itself = number && strncmp(number, prefix, strlen(prefix)) == 0;
    snprintf(prefix, sizeof(prefix), "process %d: ", pid);
    put_stamped(level, itself ? "" : prefix, line);
}

#define LOG_FUNCTION(function, level)                                                              \
    void function(const char *fmt, ...)                                                            \
    {                                                                                              \
        va_list ap;                                                                                \
        va_start(ap, fmt);                                                                         \
        vlog(level, fmt, ap);                                                                      \
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
    vlog(level, fmt, ap);
    va_end(ap);
}

void die(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vlog(LOG_L_ERROR, fmt, ap);
    va_end(ap);
    exit(1);
}

void bug(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vlog(LOG_L_ERROR, fmt, ap);
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

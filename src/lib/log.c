/* Logging, die and bug; see log.h. */
#include "log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <syslog.h>
#include <time.h>
#include <unistd.h>

static int log_fd = STDERR_FILENO;
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

void log_init(int fd, enum log_level level)
{
    log_fd = fd;
    log_max = level;
    static bool zone_known; /* once: sessions have it from the master, and need not look again */
    if (!zone_known)
        tzset();
    zone_known = true;
    if (fd < 0)
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

__attribute__((format(printf, 2, 0))) static void vlog(enum log_level level, const char *fmt,
                                                       va_list ap)
{
    if (level > log_max)
        return;
    int saved = errno;
    char text[900];
    vsnprintf(text, sizeof(text), fmt, ap);
    blank_controls(text);
    if (log_fd < 0) {
        syslog(levels[level].priority, "%s: %s", ident, text);
    } else {
        struct timespec now;
        clock_gettime(CLOCK_REALTIME, &now);
        struct tm tm;
        gmtime_r(&now.tv_sec, &tm);
        char stamp[32];
        strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
        char line[1100];
        int n = snprintf(line, sizeof(line), "%s.%03ldZ %s %s: %s\n", stamp, now.tv_nsec / 1000000,
                         levels[level].name, ident, text);
        /* Nobody is left to tell when the log itself cannot be written. */
        if (write(log_fd, line, (size_t)n) < 0)
            errno = saved;
    }
    errno = saved;
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
    p = realloc(p, size);
    if (!p)
        die("out of memory: %zu bytes", size);
    return p;
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

/* The forms of a line; see log_line.h. */
#include "log_line.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>

#include "utf8.h"

enum {
    END = 4,    /* bytes kept for the end of a line: quote, brace, newline, NUL */
    STAMP = 48, /* of a time */
};

/* Between the fields of a packet. Only the last of them, the text, may have one. */
#define SEPARATOR '\x1f'

static const struct {
    const char *name;
    int priority;
} levels[] = {
    [LOG_L_ERROR] = {"error", LOG_ERR},
    [LOG_L_WARN] = {"warning", LOG_WARNING},
    [LOG_L_INFO] = {"info", LOG_INFO},
    [LOG_L_DEBUG] = {"debug", LOG_DEBUG},
};
enum { LEVELS = sizeof(levels) / sizeof(levels[0]) };

int log_line_priority(enum log_level level)
{
    return levels[level].priority;
}

struct out {
    char *p;
    size_t n, room; /* room: without END */
};

static struct out out_of(char *p, size_t size)
{
    return (struct out){p, 0, size - END};
}

/* All of it or nothing; false if it does not fit. */
static bool put(struct out *o, const char *s, size_t n)
{
    if (o->n + n > o->room)
        return false;
    memcpy(o->p + o->n, s, n);
    o->n += n;
    return true;
}

__attribute__((format(printf, 2, 3))) static void put_format(struct out *o, const char *fmt, ...)
{
    char piece[128];
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(piece, sizeof(piece), fmt, ap);
    va_end(ap);
    put(o, piece, n < (int)sizeof(piece) ? (size_t)n : sizeof(piece) - 1);
}

/* What is kept free for the end of the line. */
static size_t end(struct out *o, const char *s)
{
    o->room += END - 1;
    put(o, s, strlen(s));
    o->p[o->n] = '\0';
    return o->n;
}

/* As it is, but for control characters: they could forge another line or drive a terminal. */
static void put_blanked(struct out *o, const char *s)
{
    bool fits = true;
    for (; *s && fits; s++)
        fits = put(o, (unsigned char)*s < 0x20 || *s == 0x7f ? "?" : s, 1);
}

/* The next code point; U+FFFD for bytes that are not UTF-8. */
static uint32_t take(const char **s)
{
    struct utf8 u = {0};
    size_t n = 0;
    while (utf8_feed(&u, (const uint8_t *)*s + n, 1)) {
        n++;
        if (utf8_complete(&u))
            break;
    }
    if (u.bad) {
        *s += n > 0 ? n : 1;
        return 0xfffd;
    }
    uint32_t c = utf8_decode(*s, &n);
    *s += n;
    return c;
}

/* Returns the length of what stands for the code point between the quotes. from: its own bytes, n
 * of them. */
static size_t escape(char piece[8], uint32_t c, const char *from, size_t n)
{
    static const char shorts[] = "\"\"\\\\\nn\rr\tt";
    for (size_t i = 0; i < sizeof(shorts) - 1; i += 2)
        if ((unsigned char)shorts[i] == c)
            return (size_t)snprintf(piece, 8, "\\%c", shorts[i + 1]);
    if (utf8_disrupts(c))
        return (size_t)snprintf(piece, 8, "\\u%04x", (unsigned)c);
    if (c == 0xfffd)
        return (size_t)snprintf(piece, 8, "\xef\xbf\xbd");
    memcpy(piece, from, n);
    return n;
}

static void put_quoted(struct out *o, const char *s)
{
    if (!put(o, "\"", 1))
        return;
    bool fits = true;
    while (*s && fits) {
        char piece[8] = "";
        const char *from = s;
        uint32_t c = take(&s);
        size_t n = escape(piece, c, from, (size_t)(s - from));
        fits = put(o, piece, n);
    }
    o->room++; /* of what is kept for the end */
    put(o, "\"", 1);
    o->room--;
}

/* logfmt has quotes where a reader that splits at blanks needs them. */
static bool is_word(const char *s)
{
    return *s && s[strspn(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                             "-_.:@/+[]")] == '\0';
}

/* With room for the beginning of a value, or not at all. */
static bool put_key(struct out *o, const char *key, size_t n)
{
    return o->n + n + 1 <= o->room && put(o, key, n);
}

static void put_pair(struct out *o, enum log_format format, const char *key, const char *value)
{
    const char *between = o->n == 0 ? "" : format == LOG_F_JSON ? "," : " ";
    char name[32];
    int n = snprintf(name, sizeof(name), format == LOG_F_JSON ? "%s\"%s\":" : "%s%s=",
                     o->n == 0 && format == LOG_F_JSON ? "{" : between, key);
    bool word = format == LOG_F_LOGFMT && strcmp(key, "msg") != 0 && is_word(value);
    if (put_key(o, name, (size_t)n) && !(word && put(o, value, strlen(value))))
        put_quoted(o, value);
}

static void put_number(struct out *o, enum log_format format, const char *key, int number)
{
    put_format(o, format == LOG_F_JSON ? ",\"%s\":%d" : " %s=%d", key, number);
}

static void put_pair_if(struct out *o, enum log_format format, const char *key, const char *value)
{
    if (*value)
        put_pair(o, format, key, value);
}

static const char *stamp(char out[STAMP], const struct log_line *l)
{
    struct tm tm;
    char seconds[24];
    gmtime_r(&l->time.tv_sec, &tm);
    strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &tm);
    snprintf(out, STAMP, "%s.%03ldZ", seconds, l->time.tv_nsec / 1000000);
    return out;
}

size_t log_line_pairs(char *out, size_t size, enum log_format format, const struct log_line *l)
{
    struct out o = out_of(out, size);
    char time[STAMP];
    put_pair(&o, format, "time", stamp(time, l));
    put_pair(&o, format, "level", levels[l->level].name);
    put_pair_if(&o, format, "process", l->process);
    if (l->pid)
        put_number(&o, format, "pid", l->pid);
    put_pair_if(&o, format, "session", l->session);
    put_pair_if(&o, format, "user", l->user);
    put_pair_if(&o, format, "client", l->client);
    put_pair(&o, format, "msg", l->text);
    return end(&o, format == LOG_F_JSON ? "}\n" : "\n");
}

/* Its own client's line has the client's name and address; what others say of a session names it in
 * the text. */
static void put_bare(struct out *o, const struct log_line *l)
{
    put_blanked(o, *l->process ? l->process : "process");
    if (l->pid)
        put_format(o, *l->process ? "[%d]" : " %d", l->pid);
    if (*l->client && *l->user) {
        put(o, " ", 1);
        put_blanked(o, l->user);
    }
    if (*l->client) {
        put(o, " ", 1);
        put_blanked(o, l->client);
    }
    put(o, ": ", 2);
    put_blanked(o, l->text);
}

size_t log_line_bare(char *out, size_t size, const struct log_line *l)
{
    struct out o = out_of(out, size);
    put_bare(&o, l);
    return end(&o, "");
}

size_t log_line_text(char *out, size_t size, const struct log_line *l)
{
    struct out o = out_of(out, size);
    char time[STAMP];
    put_format(&o, "%s %s ", stamp(time, l), levels[l->level].name);
    put_bare(&o, l);
    return end(&o, "\n");
}

/* A value without a newline needs no length; what is not UTF-8, or a control character, would make
 * journalctl show the number of bytes instead. */
static void put_field(struct out *o, const char *key, const char *value)
{
    char name[32];
    int n = snprintf(name, sizeof(name), "%s=", key);
    bool fits = *value && put_key(o, name, (size_t)n);
    if (!fits)
        return;
    while (*value && fits) {
        const char *from = value;
        uint32_t c = take(&value);
        bool odd = utf8_disrupts(c) || c == 0xfffd;
        fits = put(o, odd ? "?" : from, odd ? 1 : (size_t)(value - from));
    }
    o->room++;
    put(o, "\n", 1);
    o->room--;
}

size_t log_line_journald(char *out, size_t size, const struct log_line *l)
{
    struct out o = out_of(out, size);
    put_format(&o, "PRIORITY=%d\nSYSLOG_IDENTIFIER=chatd\n", levels[l->level].priority);
    put_field(&o, "CHATD_PROCESS", l->process);
    if (l->pid)
        put_format(&o, "CHATD_PID=%d\n", l->pid);
    put_field(&o, "CHATD_SESSION", l->session);
    put_field(&o, "CHATD_USER", l->user);
    put_field(&o, "CHATD_CLIENT", l->client);
    put_field(&o, "MESSAGE", *l->text ? l->text : " ");
    return end(&o, "");
}

size_t log_line_packet(char *out, size_t size, const struct log_line *l)
{
    struct out o = out_of(out, size);
    const char *const fields[] = {l->process, l->session, l->user, l->client};
    put_format(&o, "<%d>", levels[l->level].priority);
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
        put_blanked(&o, fields[i]);
        put(&o, (char[]){SEPARATOR}, 1);
    }
    for (const char *s = l->text; *s && put(&o, s, 1);)
        s++;
    return end(&o, "");
}

static char *read_level(char *packet, enum log_level *level)
{
    *level = LOG_L_WARN;
    for (size_t i = 0; i < LEVELS; i++) {
        const char prefix[] = {'<', (char)('0' + levels[i].priority), '>'};
        if (strncmp(packet, prefix, sizeof(prefix)) == 0) {
            *level = (enum log_level)i;
            return packet + sizeof(prefix);
        }
    }
    return packet;
}

bool log_line_read(char *packet, struct log_line *l)
{
    *l = (struct log_line){.process = "", .session = "", .user = "", .client = ""};
    char *at = read_level(packet, &l->level), *fields[4];
    l->text = at;
    char *ends[4], *next = at;
    for (size_t i = 0; i < 4; i++) {
        fields[i] = next;
        ends[i] = strchr(next, SEPARATOR);
        if (!ends[i])
            return false;
        next = ends[i] + 1;
    }
    for (size_t i = 0; i < 4; i++)
        *ends[i] = '\0';
    l->process = fields[0];
    l->session = fields[1];
    l->user = fields[2];
    l->client = fields[3];
    l->text = next;
    return true;
}

/* Lines of the log that clients can cause; see repeats.h. */
#include "repeats.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "bucket.h"
#include "clock.h"

enum {
    ENTRIES = 24, /* kinds and addresses at one time, each with two lines a second at most */
    KINDS = 16,   /* more of them than a process has */
    SECOND_MS = 1000,
    TEXT = 256,
};

static const struct bucket_rate rate = {.count = 5, .period = 5000};

/* One kind of line from one address. */
struct entry {
    const char *fmt; /* NULL: free */
    uint64_t who;
    enum log_level level;
    struct bucket bucket;
    unsigned long long more; /* that were counted and not told yet */
    int64_t due;             /* when to tell, if there are any */
    char text[TEXT];         /* the last line written, without the address */
    char from[NETADDR_TEXT]; /* its address; empty: none */
    struct log_session about;
    char user[64]; /* of that session */
};

static struct entry entries[ENTRIES];
static struct entry others[KINDS]; /* from the addresses that found no room */
static int64_t next_due = CLOCK_NEVER;

static bool is_free(const struct entry *e, int64_t now)
{
    return !e->fmt || (e->more == 0 && bucket_is_full(&e->bucket, now));
}

/* The entry of this kind and address, or one for it; NULL if there is no room. */
static struct entry *find(struct entry *table, size_t count, const char *fmt, uint64_t who)
{
    struct entry *room = NULL;
    int64_t now = clock_ms();
    for (size_t i = 0; i < count; i++) {
        if (table[i].fmt == fmt && table[i].who == who)
            return &table[i];
        if (!room && is_free(&table[i], now))
            room = &table[i];
    }
    if (room)
        *room = (struct entry){.fmt = fmt, .who = who};
    return room;
}

static struct entry *entry_of(const char *fmt, const struct netaddr *from)
{
    struct entry *e = find(entries, ENTRIES, fmt, from ? netaddr_owner(from) : 0);
    if (!e)
        e = find(others, KINDS, fmt, 0);
    return e ? e : &others[KINDS - 1];
}

static bool is_shared(const struct entry *e)
{
    return e >= others && e < others + KINDS;
}

static void write_line(const struct entry *e)
{
    log_about(&e->about, e->level, "%s%s%s", e->text, *e->from ? "; from " : "", e->from);
}

static void set_about(struct entry *e, const struct log_session *session)
{
    e->about = session ? *session : (struct log_session){0};
    snprintf(e->user, sizeof(e->user), "%s", e->about.user ? e->about.user : "");
    e->about.user = e->user;
}

static void count(struct entry *e, int64_t now)
{
    if (e->more++ > 0)
        return;
    e->due = now + SECOND_MS;
    if (e->due < next_due)
        next_due = e->due;
}

__attribute__((format(printf, 4, 0))) static void vrepeats(const struct log_session *session,
                                                           enum log_level level,
                                                           const struct netaddr *from,
                                                           const char *fmt, va_list ap)
{
    if (!log_takes(level))
        return;
    struct entry one = {0}, *e = &one;
    int64_t now = clock_ms();
    if (!log_takes(LOG_L_DEBUG))
        e = entry_of(fmt, from);
    if (!bucket_take(&e->bucket, rate, now, 1)) {
        count(e, now);
        return;
    }
    vsnprintf(e->text, sizeof(e->text), fmt, ap);
    set_about(e, session);
    e->level = level;
    e->from[0] = '\0';
    if (from)
        netaddr_format(from, e->from);
    write_line(e);
}

void repeats_log(enum log_level level, const struct netaddr *from, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vrepeats(NULL, level, from, fmt, ap);
    va_end(ap);
}

void repeats_about(const struct log_session *session, enum log_level level,
                   const struct netaddr *from, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vrepeats(session, level, from, fmt, ap);
    va_end(ap);
}

static void tell(struct entry *e)
{
    if (is_shared(e))
        log_at(e->level, "%s; and %llu more from other addresses", e->text, e->more);
    else
        log_about(&e->about, e->level, "%s%s%s, and %llu more", e->text, *e->from ? "; from " : "",
                  e->from, e->more);
    e->more = 0;
}

/* Tells what is due at this time; returns when the next is. */
static int64_t tell_due(struct entry *table, size_t count_of, int64_t now)
{
    int64_t next = CLOCK_NEVER;
    for (size_t i = 0; i < count_of; i++) {
        if (table[i].more > 0 && table[i].due <= now)
            tell(&table[i]);
        if (table[i].more > 0 && table[i].due < next)
            next = table[i].due;
    }
    return next;
}

static void tell_all_due(int64_t now)
{
    int64_t one = tell_due(entries, ENTRIES, now), other = tell_due(others, KINDS, now);
    next_due = one < other ? one : other;
}

int64_t repeats_due(void)
{
    if (next_due == CLOCK_NEVER)
        return CLOCK_NEVER;
    int64_t now = clock_ms();
    if (now >= next_due)
        tell_all_due(now);
    return next_due;
}

void repeats_end(void)
{
    tell_all_due(CLOCK_NEVER);
}

/*
 * The response head: status line, Date and fields; see http.h.
 *
 * Called by sessions. A field name or status that cannot be sent calls bug(); a value may come from
 * anywhere and is made harmless.
 */
#include "http_syntax.h"

#include <stdio.h>
#include <string.h>

#include "buf.h"
#include "log.h"

static const struct {
    int status;
    const char *text;
} statuses[] = {
    {100, "Continue"},
    {101, "Switching Protocols"},
    {200, "OK"},
    {201, "Created"},
    {202, "Accepted"},
    {204, "No Content"},
    {206, "Partial Content"},
    {301, "Moved Permanently"},
    {302, "Found"},
    {303, "See Other"},
    {304, "Not Modified"},
    {307, "Temporary Redirect"},
    {308, "Permanent Redirect"},
    {400, "Bad Request"},
    {401, "Unauthorized"},
    {403, "Forbidden"},
    {404, "Not Found"},
    {405, "Method Not Allowed"},
    {406, "Not Acceptable"},
    {408, "Request Timeout"},
    {409, "Conflict"},
    {410, "Gone"},
    {411, "Length Required"},
    {412, "Precondition Failed"},
    {413, "Content Too Large"},
    {414, "URI Too Long"},
    {415, "Unsupported Media Type"},
    {416, "Range Not Satisfiable"},
    {417, "Expectation Failed"},
    {421, "Misdirected Request"},
    {422, "Unprocessable Content"},
    {426, "Upgrade Required"},
    {428, "Precondition Required"},
    {429, "Too Many Requests"},
    {431, "Request Header Fields Too Large"},
    {500, "Internal Server Error"},
    {501, "Not Implemented"},
    {502, "Bad Gateway"},
    {503, "Service Unavailable"},
    {504, "Gateway Timeout"},
    {505, "HTTP Version Not Supported"},
};

const char *http_status_text(int status)
{
    for (size_t i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++)
        if (statuses[i].status == status)
            return statuses[i].text;
    return "Unknown";
}

/* Not with strftime(3), which uses the locale's language. */
static void put_date(struct buf *out, time_t now)
{
    static const char days[7][4] = {"Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"};
    static const char months[12][4] = {"Jan", "Feb", "Mar", "Apr", "May", "Jun",
                                       "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"};
    struct tm tm;
    if (!gmtime_r(&now, &tm))
        bug("http_response_begin: no such time: %lld", (long long)now);
    buf_printf(out, "Date: %s, %02d %s %04d %02d:%02d:%02d GMT\r\n", days[tm.tm_wday], tm.tm_mday,
               months[tm.tm_mon], tm.tm_year + 1900, tm.tm_hour, tm.tm_min, tm.tm_sec);
}

void http_response_begin(struct buf *out, int status, time_t now)
{
    if (status < 100 || status > 599)
        bug("http_response_begin: no such status: %d", status);
    buf_printf(out, "HTTP/1.1 %d %s\r\n", status, http_status_text(status));
    put_date(out, now);
}

static void put_name(struct buf *out, const char *name)
{
    struct text t = {name, strlen(name)};
    if (t.n == 0 || http_token_len(t) != t.n)
        bug("http_response_field: \"%s\" is no field name", name);
    buf_puts(out, name);
    buf_puts(out, ": ");
}

static void blank_controls(uint8_t *p, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if ((p[i] < 0x20 && p[i] != '\t') || p[i] == 0x7f)
            p[i] = ' ';
}

void http_response_field(struct buf *out, const char *name, const char *value)
{
    http_response_fieldf(out, name, "%s", value);
}

void http_response_fieldf(struct buf *out, const char *name, const char *fmt, ...)
{
    put_name(out, name);
    va_list ap, again;
    va_start(ap, fmt);
    va_copy(again, ap);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    if (n < 0)
        bug("http_response_fieldf: bad format for %s", name);
    uint8_t *value = buf_reserve(out, (size_t)n + 1);
    vsnprintf((char *)value, (size_t)n + 1, fmt, again);
    va_end(again);
    blank_controls(value, (size_t)n);
    buf_commit(out, (size_t)n);
    buf_puts(out, "\r\n");
}

void http_response_end(struct buf *out)
{
    buf_puts(out, "\r\n");
}

void http_response_chunk(struct buf *out, const void *p, size_t n)
{
    buf_printf(out, "%zx\r\n", n);
    buf_append(out, p, n);
    buf_puts(out, "\r\n");
}

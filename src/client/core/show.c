/* What a terminal gets; see show.h. */
#include "show.h"

#include <err.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "utf8.h"

static bool colours;

void show_init(void)
{
    const char *no = getenv("NO_COLOR"), *term = getenv("TERM");
    colours = isatty(STDOUT_FILENO) && (!no || !*no) && term && strcmp(term, "dumb") != 0;
}

bool show_coloured(void)
{
    return colours;
}

/* How many bytes at p are one valid code point; 0: none. */
static size_t code_point(const char *p, size_t n)
{
    for (size_t size = 1; size <= 4 && size <= n; size++)
        if (utf8_valid((const uint8_t *)p, size))
            return size;
    return 0;
}

static void put_code(struct buf *out, struct text t, bool disrupts, uint32_t code)
{
    if (!disrupts)
        buf_append(out, t.p, t.n);
    else if (code == '\t')
        buf_puts(out, " ");
    else
        buf_printf(out, code < 0x100 ? "\\x%02x" : "\\u%04x", code);
}

void show_put(struct buf *out, struct text t)
{
    for (size_t i = 0; i < t.n;) {
        size_t size = code_point(t.p + i, t.n - i), taken = size ? size : 1;
        uint32_t code = size ? utf8_decode(t.p + i, &size) : (unsigned char)t.p[i];
        put_code(out, (struct text){t.p + i, taken}, !size || utf8_disrupts(code), code);
        i += taken;
    }
}

void show_styled(struct buf *out, enum show_style style, struct text t)
{
    static const char *const begin[] = {
        [SHOW_PLAIN] = "", [SHOW_DIM] = "\033[2m", [SHOW_BOLD] = "\033[1m"};
    bool coloured = colours && style != SHOW_PLAIN;
    buf_puts(out, coloured ? begin[style] : "");
    show_put(out, t);
    buf_puts(out, coloured ? "\033[0m" : "");
}

void show_lines(struct buf *out, struct text t)
{
    for (;;) {
        const char *end = t.n ? memchr(t.p, '\n', t.n) : NULL;
        size_t n = end ? (size_t)(end - t.p) : t.n;
        show_put(out, (struct text){t.p, n});
        if (!end)
            return;
        buf_puts(out, "\n    ");
        t.p += n + 1;
        t.n -= n + 1;
    }
}

void show_json(struct buf *out, struct text t)
{
    for (size_t i = 0, size; i < t.n; i += size) {
        uint32_t code = utf8_decode(t.p + i, &size);
        if (!utf8_disrupts(code))
            buf_append(out, t.p + i, size);
        else if (code < 0x20) /* between values: a string has none */
            buf_puts(out, " ");
        else
            buf_printf(out, "\\u%04x", code);
    }
}

bool show_moment(struct text t, time_t *at)
{
    char text[40] = "";
    struct tm utc = {0};
    memcpy(text, t.p ? t.p : "", t.n < sizeof(text) ? t.n : 0);
    const char *end = strptime(text, "%Y-%m-%dT%H:%M:%S", &utc);
    *at = timegm(&utc);
    return end != NULL;
}

void show_time(struct buf *out, struct text t)
{
    char shown[40];
    struct tm local;
    time_t at;
    if (!show_moment(t, &at) || !localtime_r(&at, &local)) {
        show_put(out, t);
        return;
    }
    strftime(shown, sizeof(shown), "%Y-%m-%d %H:%M", &local);
    show_styled(out, SHOW_DIM, (struct text){shown, strlen(shown)});
}

void show_print(struct buf *out)
{
    size_t n = buf_len(out);
    if (n == 0)
        return;
    if (fwrite(buf_head(out), 1, n, stdout) != n || fflush(stdout) != 0)
        err(1, "standard output");
    buf_consume(out, n);
}

/*
 * chat send: a message, or one for each line of standard input, and the wait for its
 * acknowledgement.
 *
 * Each message has an id of its own. Where no answer comes, nobody knows whether it was stored; so
 * it is sent again under the same id, and the server stores it once. The next line is sent when
 * this one is acknowledged: they arrive in their order, and what has failed is known by its number.
 */
#include <errno.h>
#include <json-c/json.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backoff.h"
#include "clock.h"
#include "element.h"
#include "json.h"
#include "log.h"
#include "program.h"
#include "random.h"
#include "request.h"
#include "show.h"
#include "target.h"
#include "utf8.h"
#include "verbs.h"

enum { TEXT_MAX = 1 << 20, ID_BYTES = 16, FIRST_WAIT = 250, MOST_WAIT = 10000 };

static size_t line; /* in progress; 0: not by lines */

static void check_text(struct text t)
{
    const char *fault = t.n == 0                                 ? "it is empty"
                        : t.n > TEXT_MAX                         ? "it is too large"
                        : !utf8_valid((const uint8_t *)t.p, t.n) ? "it is not UTF-8"
                        : memchr(t.p, 0, t.n)                    ? "it contains a NUL byte"
                                                                 : NULL;
    if (fault && line)
        program_fail(CHAT_REFUSED, "line %zu cannot be sent: %s", line, fault);
    if (fault)
        program_fail(CHAT_REFUSED, "the message cannot be sent: %s", fault);
}

/* What the server asks for counts, and else how often it has failed. */
static int64_t pause_after(const struct answer *a, struct backoff *b)
{
    int64_t own = backoff_failed(b);
    return a->retry_after > 0 ? (int64_t)a->retry_after * 1000 : own;
}

/* Sends until there is an answer that will not change, or no time is left. */
static void insist(const struct request *r, struct answer *a)
{
    int64_t end = clock_ms() + program.wait * 1000;
    struct backoff b = {.first = FIRST_WAIT, .most = MOST_WAIT};
    for (bool told = false;; told = true) {
        request_try(r, a);
        int64_t pause = answer_temporary(a) ? pause_after(a, &b) : 0;
        if (pause == 0 || clock_ms() + pause > end)
            return;
        if (!told)
            program_note("%s; sending it again for %lld s",
                         a->status ? "the server is busy" : a->error, (long long)program.wait);
        answer_free(a);
        poll(NULL, 0, (int)pause);
    }
}

static void report(const struct answer *a)
{
    struct buf out = BUF_INIT;
    struct json_object *o = answer_object(a);
    if (program.json) {
        element_put(&out, o);
        show_print(&out);
    }
    json_object_put(o);
    buf_free(&out);
}

static void send_text(const char *path, struct text t)
{
    char id[2 * ID_BYTES + 1] = "";
    struct buf body = BUF_INIT;
    struct answer a;
    check_text(t);
    random_hex(id, ID_BYTES);
    buf_puts(&body, "{\"content\":");
    json_put_string(&body, t.p, t.n);
    buf_puts(&body, "}");
    insist(&(struct request){"POST", path, &body, id}, &a);
    if (line && (a.status < 200 || a.status > 299))
        program_note("line %zu is not acknowledged; those before it are", line);
    answer_check(&a);
    report(&a);
    answer_free(&a);
    buf_free(&body);
}

static long read_more(struct buf *in)
{
    long n;
    do
        n = buf_read(in, STDIN_FILENO, TEXT_MAX);
    while (n < 0 && errno == EINTR);
    if (n < 0)
        program_fail(CHAT_FAILED, "standard input: %s", strerror(errno));
    return n;
}

/* One more byte than allowed is enough to see that it is too large. */
static void send_input(const char *path)
{
    struct buf in = BUF_INIT;
    while (buf_len(&in) <= TEXT_MAX && read_more(&in) > 0)
        continue;
    struct text t = {(const char *)buf_head(&in), buf_len(&in)};
    if (t.n > 0 && t.p[t.n - 1] == '\n')
        t.n--;
    send_text(path, t);
    buf_free(&in);
}

/* Sends the first line of what was read, if it is whole, and takes it out. An empty one is passed
 * over, since there are no empty messages. */
static bool send_line(const char *path, struct buf *in, bool ended)
{
    size_t n = buf_len(in);
    const char *p = (const char *)buf_head(in), *end = n ? memchr(p, '\n', n) : NULL;
    if (n == 0 || (!end && !ended && n <= TEXT_MAX))
        return false;
    size_t length = end ? (size_t)(end - p) : n;
    line++;
    if (length > 0)
        send_text(path, (struct text){p, length});
    buf_consume(in, length + (end != NULL));
    return true;
}

static void send_lines(const char *path)
{
    struct buf in = BUF_INIT;
    for (bool ended = false; !ended;) {
        ended = read_more(&in) == 0;
        while (send_line(path, &in, ended))
            continue;
    }
    buf_free(&in);
}

void send_run(const struct login *l, char **words)
{
    struct target t;
    char *path;
    (void)l;
    if (words[1] && program.lines)
        program_fail(CHAT_USAGE, "--lines reads standard input: leave out the text");
    target_find(&t, words[0]);
    if (asprintf(&path, "%s/messages", t.path) < 0)
        die("out of memory");
    if (program.lines)
        send_lines(path);
    else if (words[1])
        send_text(path, (struct text){words[1], strlen(words[1])});
    else
        send_input(path);
    free(path);
    target_free(&t);
}

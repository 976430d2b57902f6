/* The client's side of HTTP/1.1, as far as the servers' answers need it: a status, and a body with
 * a Content-Length or in chunks, which are counted and left as they are. See load.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

void http_request(struct conn *c, const char *method, const char *path, const char *token,
                  const char *body, bool last)
{
    char head[16384]; /* room for a body, too: one write */
    int n = snprintf(head, sizeof(head), "%s %s HTTP/1.1\r\nHost: localhost\r\n%s%s%s%s", method,
                     path, token ? "Authorization: Bearer " : "", token ? token : "",
                     token ? "\r\n" : "", last ? "Connection: close\r\n" : "");
    if (body)
        n += snprintf(head + n, sizeof(head) - (size_t)n,
                      "Content-Type: application/json\r\nContent-Length: %zu\r\n", strlen(body));
    n += snprintf(head + n, sizeof(head) - (size_t)n, "\r\n%s", body ? body : "");
    if ((size_t)n >= sizeof(head))
        quit("a request of more than %zu bytes", sizeof(head));
    net_send(c, head, (size_t)n);
}

/* The value of a field in a head that ends in a NUL; NULL if it is not there. */
static const char *field(const char *head, const char *name)
{
    const char *line = strcasestr(head, name);
    return line ? line + strlen(name) : NULL;
}

/* Follows the chunks from here on. False if the last one has not come yet. */
static bool follow_chunks(const struct conn *c, size_t at, struct answer *a)
{
    size_t n;
    a->size = 0;
    do {
        const char *line = c->in.p + at, *end = memmem(line, c->in.used - at, "\r\n", 2);
        if (!end)
            return false;
        n = strtoul(line, NULL, 16);
        at = (size_t)(end - c->in.p) + 2 + n + 2;
        if (at > c->in.used)
            return false;
        a->size += n;
    } while (n > 0);
    a->whole = at;
    return true;
}

bool http_answer(struct conn *c, struct answer *a)
{
    char *end = memmem(c->in.p, c->in.used, "\r\n\r\n", 4);
    if (!end)
        return false;
    size_t head = (size_t)(end - c->in.p) + 4;
    if (head < 14 || memcmp(c->in.p, "HTTP/1.1 ", 9) != 0)
        quit("no HTTP/1.1: %.*s", (int)head, c->in.p);
    end[2] = 0; /* of the empty line: the next look finds it again */
    a->status = atoi(c->in.p + 9);
    const char *length = field(c->in.p, "\r\nContent-Length:");
    bool chunked = field(c->in.p, "\r\nTransfer-Encoding: chunked\r\n");
    end[2] = '\r';
    if (chunked) {
        a->body = c->in.p + head;
        return follow_chunks(c, head, a);
    }
    if (!length && a->status != 101)
        quit("an answer without Content-Length: %.*s", (int)head, c->in.p);
    a->size = length ? strtoul(length, NULL, 10) : 0;
    a->whole = head + a->size;
    a->body = c->in.p + head;
    return c->in.used >= a->whole;
}

void http_drop(struct conn *c, const struct answer *a)
{
    bytes_drop(&c->in, a->whole);
}

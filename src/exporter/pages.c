/* Answers to requests; see pages.h. */
#include "pages.h"

#include <string.h>
#include <time.h>

#include "buf.h"
#include "exposition.h"
#include "http.h"
#include "numbers.h"

#define PLAIN      "text/plain; charset=utf-8"
#define EXPOSITION "text/plain; version=0.0.4; charset=utf-8"

static const char *const paths[PAGE_NONE] = {
    [PAGE_METRICS] = "/metrics", [PAGE_HEALTH] = "/healthz", [PAGE_READY] = "/readyz"};

struct answer {
    int status;
    const char *type;
    bool bodiless;
};

static void put(struct buf *out, const struct answer *a, const struct buf *body)
{
    http_response_begin(out, a->status, time(NULL));
    http_response_field(out, "Content-Type", a->type);
    http_response_fieldf(out, "Content-Length", "%zu", buf_len(body));
    http_response_field(out, "Cache-Control", "no-store");
    http_response_field(out, "X-Content-Type-Options", "nosniff");
    if (a->status == 405)
        http_response_field(out, "Allow", "GET, HEAD");
    http_response_field(out, "Connection", "close");
    http_response_end(out);
    if (!a->bodiless)
        buf_append(out, buf_head(body), buf_len(body));
}

static void put_line(struct buf *out, int status, bool bodiless, const char *text)
{
    struct buf body = BUF_INIT;
    buf_printf(&body, "%s\n", text);
    put(out, &(struct answer){status, PLAIN, bodiless}, &body);
    buf_free(&body);
}

void page_refuse(struct buf *out, int status, const char *text)
{
    put_line(out, status, false, text);
}

enum page page_of(const struct http_request *r, bool *bodiless, struct buf *out)
{
    *bodiless = http_text_is(r->method, "HEAD");
    if (!*bodiless && !http_text_is(r->method, "GET")) {
        page_refuse(out, 405, "Only GET and HEAD are allowed here");
        return PAGE_NONE;
    }
    for (int i = 0; i < PAGE_NONE; i++)
        if (http_text_is(r->path, paths[i]))
            return (enum page)i;
    put_line(out, 404, *bodiless, "There are /metrics, /healthz and /readyz");
    return PAGE_NONE;
}

/* --- the pages --- */

static void put_metrics(struct buf *out, bool bodiless, const struct numbers *n)
{
    struct buf body = BUF_INIT;
    buf_append(&body, n->masters.p, n->masters.n);
    exposition_one(&body, "chatd_broker_up", EXPOSITION_GAUGE,
                   "Whether the broker answers: 1, or 0, and then its numbers are missing.",
                   n->broker);
    buf_append(&body, n->brokers.p, n->brokers.n);
    put(out, &(struct answer){200, EXPOSITION, bodiless}, &body);
    buf_free(&body);
}

static const char *why_not_ready(const struct numbers *n)
{
    if (!n->master)
        return "not ready: the master does not answer";
    if (strcmp(n->phase, "serving") != 0)
        return "not ready: the server stops";
    if (!n->broker)
        return "not ready: the broker does not answer";
    return n->database ? NULL : "not ready: the database is away; the log says why";
}

void page_put(struct buf *out, enum page page, bool bodiless, const struct numbers *n)
{
    const char *why = why_not_ready(n);
    if (page == PAGE_READY)
        put_line(out, why ? 503 : 200, bodiless, why ? why : "ready");
    else if (!n->master)
        put_line(out, 503, bodiless, "the master does not answer");
    else if (page == PAGE_METRICS)
        put_metrics(out, bodiless, n);
    else
        put_line(out, 200, bodiless, "ok");
}

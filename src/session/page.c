/* The page, and the descriptions of the server; see page.h. */
#include "page.h"

#include <string.h>

#include "page_data.h"

/* Has the client got this very document? Tags are compared weakly (RFC 9110 section 13.1.2). */
static bool is_there(const struct exchange *x, const struct page_data *d)
{
    struct http_list tags = {.r = &x->request, .name = "If-None-Match"};
    struct text tag;
    while (http_list_next(&tags, &tag)) {
        size_t weak = tag.n > 2 && memcmp(tag.p, "W/", 2) == 0 ? 2 : 0;
        tag = (struct text){tag.p + weak, tag.n - weak};
        if (http_text_is(tag, d->etag) || http_text_is(tag, "*"))
            return true;
    }
    return false;
}

/* Beside the policy: no address of ours to others, no window of others. */
static void put_policy(struct buf *out)
{
    http_response_field(out, "Content-Security-Policy", page_policy);
    http_response_field(out, "Referrer-Policy", "no-referrer");
    http_response_field(out, "Cross-Origin-Opener-Policy", "same-origin");
}

static void serve(struct exchange *x, const struct page_data *d, const char *type)
{
    struct buf *out = &x->client->out;
    bool there = is_there(x, d);
    exchange_begin(x, there ? 304 : 200);
    http_response_field(out, "ETag", d->etag);
    http_response_field(out, "Cache-Control", "no-cache");
    http_response_field(out, "X-Content-Type-Options", "nosniff"); /* no guessing of types */
    if (d == &page_html)
        put_policy(out);
    if (!there) {
        http_response_field(out, "Content-Type", type);
        http_response_fieldf(out, "Content-Length", "%zu", d->n);
    }
    http_response_end(out);
    if (!there && !http_text_is(x->request.method, "HEAD"))
        buf_append(out, d->bytes, d->n);
}

void page_serve(struct exchange *x)
{
    serve(x, &page_html, "text/html; charset=utf-8");
}

void page_serve_openapi(struct exchange *x)
{
    serve(x, &page_openapi, "application/json");
}

void page_serve_asyncapi(struct exchange *x)
{
    serve(x, &page_asyncapi, "application/json");
}

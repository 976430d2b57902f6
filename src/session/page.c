/* The page; see page.h. */
#include "page.h"

#include <string.h>

#include "page_data.h"

/* Has the client got this very page? Tags are compared weakly (RFC 9110 section 13.1.2). */
static bool is_there(const struct exchange *x)
{
    struct http_list tags = {.r = &x->request, .name = "If-None-Match"};
    struct text tag;
    while (http_list_next(&tags, &tag)) {
        size_t weak = tag.n > 2 && memcmp(tag.p, "W/", 2) == 0 ? 2 : 0;
        tag = (struct text){tag.p + weak, tag.n - weak};
        if (http_text_is(tag, page_etag) || http_text_is(tag, "*"))
            return true;
    }
    return false;
}

/* Beside the policy: no guessing of types, no address of ours to others, no window of others. */
static void put_fields(struct buf *out)
{
    http_response_field(out, "ETag", page_etag);
    http_response_field(out, "Cache-Control", "no-cache");
    http_response_field(out, "Content-Security-Policy", page_policy);
    http_response_field(out, "X-Content-Type-Options", "nosniff");
    http_response_field(out, "Referrer-Policy", "no-referrer");
    http_response_field(out, "Cross-Origin-Opener-Policy", "same-origin");
}

void page_serve(struct exchange *x)
{
    struct buf *out = &x->client->out;
    bool there = is_there(x);
    exchange_begin(x, there ? 304 : 200);
    put_fields(out);
    if (!there) {
        http_response_field(out, "Content-Type", "text/html; charset=utf-8");
        http_response_fieldf(out, "Content-Length", "%zu", page_html_len);
    }
    http_response_end(out);
    if (!there && !http_text_is(x->request.method, "HEAD"))
        buf_append(out, page_html, page_html_len);
}

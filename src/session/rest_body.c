/* What the handlers of requests share; see rest_body.h. */
#include "rest_body.h"

#include <stdio.h>
#include <string.h>

#include "json.h"
#include "utf8.h"

enum ipc_error rest_take_reply(struct exchange *x, size_t begin, struct rest_reply *r)
{
    struct ipc_message m;
    enum ipc_error error = ask_end(x->ask, begin, IPC_REPLY, &m);
    if (error)
        return error;
    struct ipc_reader reader = ipc_read(&m);
    r->status = (int)ipc_get_u32(&reader);
    r->next = ipc_get_u64(&reader);
    r->json = ipc_get_text(&reader, IPC_MAX_REPLY);
    return ipc_read_end(&reader) ? IPC_E_NONE : IPC_E_INTERNAL;
}

void rest_pass_on(struct exchange *x, const struct rest_reply *r)
{
    if (r->status == 204)
        exchange_no_content(x);
    else
        exchange_reply(x, r->status, r->json.p, r->json.n);
    ask_forget(x->ask);
}

void rest_forward_reply(struct exchange *x, size_t begin)
{
    struct rest_reply r;
    enum ipc_error error = rest_take_reply(x, begin, &r);
    if (error)
        exchange_failure(x, error);
    else
        rest_pass_on(x, &r);
}

bool rest_name_fits(struct text t)
{
    enum { MAX_NAME = 64 };
    size_t count = utf8_count(t.p, t.n);
    return count >= 1 && count <= MAX_NAME && utf8_inline(t.p, t.n) && t.p[0] != ' ' &&
           t.p[t.n - 1] != ' ';
}

static bool is_json(const struct http_request *r)
{
    const struct text *type = http_request_field(r, "Content-Type");
    static const char json[] = "application/json";
    size_t n = sizeof(json) - 1;
    return type && type->n >= n && strncasecmp(type->p, json, n) == 0 &&
           (type->n == n || strchr("; \t", type->p[n]));
}

/* With a content coding, and be it one of many, the body is not what its type says. */
static bool is_coded(const struct http_request *r)
{
    struct http_list list = {.r = r, .name = "Content-Encoding"};
    struct text coding;
    while (http_list_next(&list, &coding))
        if (!http_text_is_nocase(coding, "identity"))
            return true;
    return false;
}

/* The request's body as a JSON object, for json_object_put(); NULL when that was answered. */
static struct json_object *body_object(struct exchange *x)
{
    if (is_coded(&x->request)) {
        exchange_error_with(x, 415, "Content-Encoding is not supported: send the body uncompressed",
                            "Accept-Encoding", "identity");
        return NULL;
    }
    if (!is_json(&x->request)) {
        exchange_error_with(x, 415, "The header \"Content-Type: application/json\" is missing",
                            "Accept", "application/json");
        return NULL;
    }
    const char *error;
    struct json_object *object =
        json_parse_object((const char *)buf_head(&x->body), buf_len(&x->body), &error);
    if (!object)
        exchange_error(x, 400, error);
    return object;
}

bool rest_take_fields(struct exchange *x, struct json_object *object, struct field *fields,
                      size_t count)
{
    char text[128];
    for (size_t i = 0; i < count; i++) {
        struct field *f = &fields[i];
        enum json_get got = json_get_text(object, f->name, &f->text);
        if (got == JSON_OK)
            continue;
        snprintf(text, sizeof(text), "\"%s\" %s", f->name,
                 got == JSON_ABSENT ? "is missing" : "must be a string");
        exchange_error(x, 400, text);
        return false;
    }
    return true;
}

void rest_with_body(struct exchange *x, void (*handle)(struct exchange *, struct json_object *))
{
    struct json_object *object = body_object(x);
    if (!object)
        return;
    handle(x, object);
    json_object_put(object);
}

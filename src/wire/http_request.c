/*
 * The request head: from bytes to struct http_request, or to a status to refuse with; see http.h.
 *
 * Parses again from the start of the head with every piece that arrives: max_head bounds that work,
 * and a parser without state between calls has none to get wrong. It checks lines in order, each as
 * soon as it is complete, and the fields' joint meaning at the empty line.
 */
#include <string.h>
#include <strings.h>

#include "http_syntax.h"

enum { MAX_METHOD = 64 }; /* far above any that was ever registered */

static const struct text empty = {"", 0};

static int refuse_request(struct http_request *r, int status, const char *why)
{
    r->error = why;
    return -status;
}

const struct text *http_request_field(const struct http_request *r, const char *name)
{
    for (size_t i = 0; i < r->field_count; i++)
        if (http_text_is_nocase(r->fields[i].name, name))
            return &r->fields[i].value;
    return NULL;
}

size_t http_request_field_count(const struct http_request *r, const char *name)
{
    size_t count = 0;
    for (size_t i = 0; i < r->field_count; i++)
        count += http_text_is_nocase(r->fields[i].name, name);
    return count;
}

/* In the list that all fields of this name form: how many elements are the token, and how many are
 * not. */
struct list_count {
    size_t same, other;
};

static struct list_count count_list(const struct http_request *r, const char *name,
                                    const char *token)
{
    struct list_count count = {0, 0};
    struct http_list list = {.r = r, .name = name};
    struct text element;
    while (http_list_next(&list, &element)) {
        if (http_text_is_nocase(element, token))
            count.same++;
        else
            count.other++;
    }
    return count;
}

/* Whether the token is the last element of the list that all fields of this name form. */
static bool list_ends_with(const struct http_request *r, const char *name, const char *token)
{
    struct http_list list = {.r = r, .name = name};
    struct text last = empty;
    while (http_list_next(&list, &last))
        ;
    return http_text_is_nocase(last, token);
}

bool http_request_has_token(const struct http_request *r, const char *name, const char *token)
{
    return count_list(r, name, token).same > 0;
}

/* A weight of zero, "0", "0." or with up to three more zeros (RFC 9110 12.4.2). */
static bool is_zero(struct text weight)
{
    static const char zero[] = "0.000";
    return weight.n > 0 && weight.n < sizeof(zero) && memcmp(weight.p, zero, weight.n) == 0;
}

/* Whether this element of Accept is the media type, whatever its parameters, and wanted. */
static bool wants(struct text element, const char *type)
{
    const char *end = memchr(element.p, ';', element.n);
    size_t n = end ? (size_t)(end - element.p) : element.n;
    struct text rest = {element.p + n, element.n - n}, name, value;
    if (!http_text_is_nocase(http_text_trim((struct text){element.p, n}), type))
        return false;
    int got;
    while ((got = http_parameter_next(&rest, &name, &value)) > 0)
        if (http_text_is_nocase(name, "q") && value.p && is_zero(value))
            return false;
    return got == 0;
}

bool http_request_accepts(const struct http_request *r, const char *type)
{
    struct http_list list = {.r = r, .name = "Accept"};
    struct text element;
    while (http_list_next(&list, &element))
        if (wants(element, type))
            return true;
    return false;
}

/* The method and the space after it; asked of an unfinished line too, so that what is not HTTP
 * at all is refused at its first byte. */
static bool method_is_possible(struct text line)
{
    size_t n = http_token_len(line);
    return n == line.n || (n > 0 && line.p[n] == ' ');
}

static int parse_version(struct http_request *r, struct text version)
{
    const char *p = version.p;
    if (version.n != 8 || memcmp(p, "HTTP/", 5) != 0 || p[5] < '0' || p[5] > '9' || p[6] != '.' ||
        p[7] < '0' || p[7] > '9')
        return refuse_request(
            r, 400, "the request line is not \"METHOD target HTTP/1.1\" with single spaces");
    if (p[5] != '1')
        return refuse_request(r, 505, "this version of HTTP is not spoken here: use HTTP/1.1");
    r->minor = p[7] > '0'; /* treat a later one as 1.1 (RFC 9110 2.5) */
    return 0;
}

/* Splits what follows the host of a target; "http://host" and "http://host?query" mean path "/". */
static void split_path(struct http_request *r, struct text t)
{
    const char *mark = t.n > 0 ? memchr(t.p, '?', t.n) : NULL;
    size_t n = mark ? (size_t)(mark - t.p) : t.n;
    r->path = n > 0 ? (struct text){t.p, n} : (struct text){"/", 1};
    r->query = mark ? (struct text){mark + 1, t.n - n - 1} : empty;
}

/* The length of "http://" or "https://" at the start, or 0. */
static size_t scheme_len(struct text t)
{
    static const char *const schemes[] = {"http://", "https://"};
    for (size_t i = 0; i < 2; i++) {
        size_t n = strlen(schemes[i]);
        if (t.n >= n && strncasecmp(t.p, schemes[i], n) == 0)
            return n;
    }
    return 0;
}

static int parse_absolute_target(struct http_request *r, struct text t)
{
    size_t n = 0;
    while (n < t.n && t.p[n] != '/' && t.p[n] != '?')
        n++;
    r->host = (struct text){t.p, n};
    if (n == 0 || !http_host_is_valid(r->host))
        return refuse_request(r, 400, "the target has no valid host: write http://host:port/path");
    split_path(r, (struct text){t.p + n, t.n - n});
    return 0;
}

static int parse_target(struct http_request *r)
{
    struct text t = r->target;
    for (size_t i = 0; i < t.n; i++)
        if (t.p[i] < 0x21 || t.p[i] > 0x7e || t.p[i] == '#')
            return refuse_request(r, 400,
                                  "the target may hold visible ASCII only, without '#': use %XX");
    size_t scheme = scheme_len(t);
    if (http_text_is(r->method, "CONNECT")) {
        if (t.n > 0 && http_host_is_valid(t))
            return 0;
        return refuse_request(r, 400, "the target of CONNECT must be host:port");
    }
    if (t.n > 0 && t.p[0] == '/') {
        split_path(r, t);
        return 0;
    }
    if (http_text_is(t, "*") && http_text_is(r->method, "OPTIONS")) {
        r->path = t;
        return 0;
    }
    if (scheme > 0)
        return parse_absolute_target(r, (struct text){t.p + scheme, t.n - scheme});
    return refuse_request(r, 400, "the target must be a path that begins with '/'");
}

/* Check the version first: another HTTP may allow other targets. */
static int parse_request_line(struct http_request *r, struct text line)
{
    static const char form[] = "the request line is not \"METHOD target HTTP/1.1\"";
    size_t n = http_token_len(line);
    if (n == line.n)
        return refuse_request(r, 400, form);
    struct text rest = {line.p + n + 1, line.n - n - 1};
    const char *space = rest.n > 0 ? memchr(rest.p, ' ', rest.n) : NULL;
    if (!space)
        return refuse_request(r, 400, form);
    size_t target_len = (size_t)(space - rest.p);
    r->method = (struct text){line.p, n};
    r->target = (struct text){rest.p, target_len};
    int rc = parse_version(r, (struct text){space + 1, rest.n - target_len - 1});
    return rc != 0 ? rc : parse_target(r);
}

static int parse_field(struct http_request *r, struct text line)
{
    if (r->field_count == HTTP_MAX_FIELDS)
        return refuse_request(r, 431, "too many header fields: send at most 100");
    struct text name, value;
    if (!http_field_split(line, &name, &value, &r->error))
        return -400;
    r->fields[r->field_count].name = name;
    r->fields[r->field_count].value = value;
    r->field_count++;
    return 0;
}

/* Without a host two servers may disagree on whom the request is for. */
static int settle_host(struct http_request *r)
{
    const struct text *host = http_request_field(r, "Host");
    if (!host)
        return r->minor == 0
                   ? 0
                   : refuse_request(r, 400, "the Host field is missing: HTTP/1.1 needs one");
    if (!http_host_is_valid(*host))
        return refuse_request(r, 400, "the Host field is not \"host\" or \"host:port\"");
    if (r->host.n == 0)
        r->host = *host;
    return 0;
}

static int settle_content_length(struct http_request *r)
{
    const struct text *value = http_request_field(r, "Content-Length");
    int64_t length = 0;
    if (!value)
        return 0;
    for (size_t i = 0; i < value->n; i++) {
        int digit = value->p[i] - '0';
        if (digit < 0 || digit > 9)
            return refuse_request(r, 400, "Content-Length must be one decimal number");
        if (length > (INT64_MAX - digit) / 10)
            return refuse_request(r, 400,
                                  "Content-Length is too large: send the body's true length");
        length = length * 10 + digit;
    }
    if (value->n == 0)
        return refuse_request(r, 400, "Content-Length is empty: give a decimal number");
    r->content_length = length;
    return 0;
}

static int settle_transfer_encoding(struct http_request *r)
{
    const struct text *value = http_request_field(r, "Transfer-Encoding");
    if (!value)
        return 0;
    if (r->minor == 0)
        return refuse_request(r, 400, "Transfer-Encoding needs HTTP/1.1: send Content-Length");
    if (r->content_length >= 0)
        return refuse_request(r, 400,
                              "both Content-Length and Transfer-Encoding: send one of them");
    /* Where such a body ends cannot be known, whatever the codings are (RFC 9112 6.3). */
    if (!list_ends_with(r, "Transfer-Encoding", "chunked"))
        return refuse_request(r, 400,
                              "Transfer-Encoding does not end with chunked: send chunked alone");
    if (count_list(r, "Transfer-Encoding", "chunked").other > 0)
        return refuse_request(r, 501, "this Transfer-Encoding is not known here: use chunked");
    if (http_request_field_count(r, "Transfer-Encoding") != 1 ||
        !http_text_is_nocase(*value, "chunked"))
        return refuse_request(r, 400, "Transfer-Encoding must say chunked, exactly once");
    r->chunked = true;
    return 0;
}

static int settle_expect(struct http_request *r)
{
    struct list_count expect = count_list(r, "Expect", "100-continue");
    if (expect.other > 0)
        return refuse_request(r, 417, "this Expect cannot be met: use 100-continue or none");
    r->expect_continue = r->minor == 1 && expect.same > 0;
    return 0;
}

/* If one server took the first of two and another the second, they would disagree on what was
 * asked, or by whom. */
static int settle_singletons(struct http_request *r)
{
#define SINGLETON(name)                                                                            \
    {                                                                                              \
        name, "more than one " name " field: send one"                                             \
    }
    static const struct {
        const char *name, *error;
    } fields[] = {SINGLETON("Host"),
                  SINGLETON("Content-Length"),
                  SINGLETON("Content-Type"),
                  SINGLETON("Authorization"),
                  SINGLETON("Origin"),
                  SINGLETON("Last-Event-ID"),
                  SINGLETON("Idempotency-Key"),
                  SINGLETON("Sec-WebSocket-Key"),
                  SINGLETON("Sec-WebSocket-Version")};
#undef SINGLETON
    for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++)
        if (http_request_field_count(r, fields[i].name) > 1)
            return refuse_request(r, 400, fields[i].error);
    return 0;
}

/* What the fields mean together. */
static int settle(struct http_request *r)
{
    static int (*const steps[])(struct http_request *) = {settle_singletons, settle_host,
                                                          settle_content_length,
                                                          settle_transfer_encoding, settle_expect};
    for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
        int rc = steps[i](r);
        if (rc != 0)
            return rc;
    }
    r->keep_alive = !http_request_has_token(r, "Connection", "close") &&
                    (r->minor == 1 || http_request_has_token(r, "Connection", "keep-alive"));
    return 0;
}

/* The first line of what is there. Returns its length with CRLF, 0 or a refusal. */
static long take_request_line(struct http_request *r, const uint8_t *data, size_t len)
{
    struct text line;
    int got = http_line_cut(data, len, &line, &r->error);
    /* Check first what is known first, so that the answer is the same however the bytes arrive. */
    if (http_token_len(line) > MAX_METHOD)
        return refuse_request(r, 501, "this method is not implemented: none is so long");
    if (!method_is_possible(line))
        return refuse_request(r, 400,
                              "the request does not begin with a method: send plain HTTP/1.1");
    if (got == HTTP_LINE_BAD)
        return -400;
    if (got == HTTP_LINE_MORE)
        return 0;
    if (line.n == 0)
        return refuse_request(r, 400, "empty lines before the request: begin with the method");
    int rc = parse_request_line(r, line);
    return rc != 0 ? rc : (long)line.n + 2;
}

/* The fields and the empty line. Returns their length with all CRLF, 0 or a refusal. */
static long take_fields(struct http_request *r, const uint8_t *data, size_t len)
{
    for (size_t at = 0;;) {
        struct text line;
        int got = http_line_cut(data + at, len - at, &line, &r->error);
        if (got == HTTP_LINE_BAD)
            return -400;
        if (got == HTTP_LINE_MORE)
            return 0;
        at += line.n + 2;
        int rc = line.n > 0 ? parse_field(r, line) : settle(r);
        if (rc != 0)
            return rc;
        if (line.n == 0)
            return (long)at;
    }
}

static long take_head(struct http_request *r, const uint8_t *data, size_t len)
{
    /* Old clients send one CRLF too many after a body (RFC 9112 2.2). */
    size_t at = len >= 2 && data[0] == '\r' && data[1] == '\n' ? 2 : 0;
    long n = take_request_line(r, data + at, len - at);
    if (n <= 0)
        return n;
    at += (size_t)n;
    n = take_fields(r, data + at, len - at);
    return n <= 0 ? n : (long)at + n;
}

long http_request_parse(const uint8_t *data, size_t len, size_t max_head, struct http_request *r)
{
    *r = (struct http_request){.method = empty,
                               .target = empty,
                               .path = empty,
                               .query = empty,
                               .host = empty,
                               .content_length = -1};
    if (len == 0)
        return 0;
    /* Bytes beyond the limit are not looked at: the answer must not depend on whether they came. */
    long n = take_head(r, data, len < max_head ? len : max_head);
    if (n != 0 || len < max_head)
        return n;
    if (r->method.n == 0)
        return refuse_request(r, 414, "the request line is too long: shorten the target");
    return refuse_request(r, 431, "the header fields are too large: send fewer or shorter ones");
}

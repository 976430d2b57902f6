/* The PROXY protocol and X-Forwarded-For; see proxy.h. */
#include "proxy.h"

#include <string.h>

/* --- version 1: "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n" --- */

enum { V1_MAX = 107 }; /* with its end of line */

static const char v1_start[] = "PROXY ";

/* The text up to the next blank or the end, which is then skipped. */
static struct text take_word(struct text *line)
{
    const char *blank = memchr(line->p, ' ', line->n);
    struct text word = {line->p, blank ? (size_t)(blank - line->p) : line->n};
    size_t skip = word.n + (blank != NULL);
    line->p += skip;
    line->n -= skip;
    return word;
}

static bool is_port(struct text t)
{
    unsigned v = 0;
    for (size_t i = 0; i < t.n; i++) {
        if (t.p[i] < '0' || t.p[i] > '9')
            return false;
        v = v * 10 + (unsigned)(t.p[i] - '0');
    }
    return t.n >= 1 && t.n <= 5 && v <= 65535 && (t.n == 1 || t.p[0] != '0');
}

static bool is_address(struct text t, bool six, struct netaddr *a)
{
    return (memchr(t.p, ':', t.n) != NULL) == six && netaddr_parse(a, t.p, t.n) && a->ip;
}

/* A line without its end. */
static bool parse_line(struct text line, struct proxy_header *h)
{
    line.p += strlen(v1_start);
    line.n -= strlen(v1_start);
    struct text family = take_word(&line);
    *h = (struct proxy_header){.given = false};
    if (http_text_is(family, "UNKNOWN"))
        return true;
    bool six = http_text_is(family, "TCP6");
    if (!six && !http_text_is(family, "TCP4"))
        return false;
    struct text source = take_word(&line), target = take_word(&line), port = take_word(&line);
    struct netaddr ours;
    h->given = true;
    return is_address(source, six, &h->client) && is_address(target, six, &ours) && is_port(port) &&
           is_port(line);
}

static long parse_v1(const uint8_t *data, size_t n, struct proxy_header *h)
{
    size_t start = strlen(v1_start);
    if (memcmp(data, v1_start, n < start ? n : start) != 0)
        return -1;
    const uint8_t *end = memchr(data, '\n', n);
    if (!end)
        return n < V1_MAX ? 1 : -1; /* only the line's end shows its length */
    size_t size = (size_t)(end - data);
    struct text line = {(const char *)data, size - 1};
    if (size + 1 != n || size <= start || data[size - 1] != '\r' || memchr(data, 0, size))
        return -1;
    return parse_line(line, h) ? 0 : -1;
}

/* --- version 2: a signature, command and family, the size of the rest, the addresses --- */

enum { V2_HEAD = 16, V2_SIGNATURE = 12, V2_LOCAL = 0, V2_PROXY = 1 };

static const uint8_t signature[V2_SIGNATURE] = "\r\n\r\n\0\r\nQUIT\n";

/* What an address of each family takes; there are two of them, and the ports. */
static const struct {
    size_t address, all;
} families[] = {{0, 0}, {4, 12}, {16, 36}, {108, 216}};

static bool parse_addresses(const uint8_t *data, size_t size, struct proxy_header *h)
{
    unsigned version = data[12] >> 4, command = data[12] & 15;
    unsigned family = data[13] >> 4, transport = data[13] & 15;
    *h = (struct proxy_header){.given = false};
    if (version != 2 || command > V2_PROXY || family > 3 || transport > 2)
        return false;
    if (command == V2_LOCAL || family == 0)
        return true;
    if (size < families[family].all || transport != 1)
        return false; /* only a stream can have led here */
    h->given = true;
    if (family < 3)
        netaddr_from_bytes(&h->client, data + V2_HEAD, families[family].address);
    return true;
}

static long parse_v2(const uint8_t *data, size_t n, struct proxy_header *h)
{
    if (n < V2_HEAD)
        return (long)(V2_HEAD - n);
    size_t size = (size_t)data[14] << 8 | data[15];
    if (V2_HEAD + size > PROXY_MAX || n > V2_HEAD + size)
        return -1;
    if (n < V2_HEAD + size)
        return (long)(V2_HEAD + size - n);
    return parse_addresses(data, size, h) ? 0 : -1;
}

long proxy_parse(const uint8_t *data, size_t n, struct proxy_header *h)
{
    if (n == 0)
        return V2_SIGNATURE; /* version 1's shortest line is longer */
    if (memcmp(data, signature, n < V2_SIGNATURE ? n : V2_SIGNATURE) == 0)
        return n < V2_SIGNATURE ? (long)(V2_SIGNATURE - n) : parse_v2(data, n, h);
    return parse_v1(data, n, h);
}

/* --- X-Forwarded-For --- */

/* An entry of the list: an address; some proxies add the port, and put IPv6 in brackets. */
static bool parse_entry(const char *p, size_t n, struct netaddr *a)
{
    if (n > 0 && *p == '[') {
        const char *end = memchr(p, ']', n);
        return end && (end + 1 == p + n || end[1] == ':') &&
               netaddr_parse(a, p + 1, (size_t)(end - p - 1)) && a->ip;
    }
    const char *colon = memchr(p, ':', n);
    if (colon && memchr(p, '.', (size_t)(colon - p)))
        n = (size_t)(colon - p);
    return netaddr_parse(a, p, n) && a->ip;
}

/* Looks at the entries of one field, the last one first. True when the client is found, or cannot
 * be; *good says which. */
static bool look_at_field(struct text field, const char *trusted, struct netaddr *client,
                          bool *good)
{
    while (field.n > 0) {
        const char *comma = memrchr(field.p, ',', field.n);
        const char *p = comma ? comma + 1 : field.p;
        size_t n = field.n - (size_t)(p - field.p);
        field.n = comma ? (size_t)(comma - field.p) : 0;
        for (; n > 0 && (*p == ' ' || *p == '\t'); n--)
            p++;
        for (; n > 0 && (p[n - 1] == ' ' || p[n - 1] == '\t'); n--)
            ;
        if (n == 0)
            continue;
        *good = parse_entry(p, n, client);
        if (!*good || !netaddr_listed(client, trusted))
            return true;
    }
    return false;
}

bool proxy_forwarded(const struct http_request *r, const char *trusted, struct netaddr *client)
{
    bool good = false;
    for (size_t i = r->field_count; i-- > 0;)
        if (http_text_is_nocase(r->fields[i].name, "X-Forwarded-For") &&
            look_at_field(r->fields[i].value, trusted, client, &good))
            break;
    return good;
}

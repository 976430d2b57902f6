/* PROXY headers, byte by byte, and X-Forwarded-For. */
#include "proxy.h"

#include <stdlib.h>

#include "test.h"

/* Hands the header over as a session does: never more than the parser asks for. Returns what it
 * says in the end, and in *taken how many bytes it has asked for. */
static long feed(const uint8_t *data, size_t n, size_t *taken, struct proxy_header *h)
{
    long more;
    *taken = 0;
    for (;;) {
        /* Of its own size, so that a sanitizer sees every byte read beyond. */
        uint8_t *copy = malloc(*taken ? *taken : 1);
        memcpy(copy, data, *taken);
        more = proxy_parse(copy, *taken, h);
        free(copy);
        if (more <= 0 || *taken + (size_t)more > n)
            return more;
        *taken += (size_t)more;
    }
}

static void accepts(const void *data, size_t n, const char *client)
{
    uint8_t all[PROXY_MAX + 16];
    struct proxy_header h = {0};
    size_t taken;
    char text[NETADDR_TEXT] = "";
    memcpy(all, data, n);
    memcpy(all + n, "GET / HTTP/1.1\r\n", 16); /* which is not to be touched */
    CHECK(feed(all, n + 16, &taken, &h) == 0 && taken == n);
    if (h.given)
        netaddr_format(&h.client, text);
    CHECK_STR(text, client);
    for (size_t part = 0; part < n; part++)
        CHECK(feed(all, part, &taken, &h) > 0); /* it waits for the rest */
}

static void refuses(const void *data, size_t n)
{
    struct proxy_header h;
    size_t taken;
    if (feed(data, n, &taken, &h) != -1)
        CHECK_STR((const char *)data, "refused");
}

static void line(const char *text, const char *client)
{
    accepts(text, strlen(text), client);
}

static void version_1(void)
{
    line("PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n", "192.0.2.1");
    line("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", "255.255.255.255");
    line("PROXY TCP4 192.0.2.1 198.51.100.1 0 1\r\n", "192.0.2.1");
    line("PROXY TCP6 2001:db8::1 ::1 1 2\r\n", "2001:db8::1");
    line("PROXY TCP6 ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff "
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n",
         "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff");
    line("PROXY TCP6 ::ffff:192.0.2.1 ::1 1 2\r\n", "192.0.2.1");
    line("PROXY UNKNOWN\r\n", "");
    line("PROXY UNKNOWN 2001:db8::1 whatever it says\r\n", "");
}

static void version_1_malformed(void)
{
    static const char *const bad[] = {
        "GET / HTTP/1.1\r\n\r\n",
        "proxy TCP4 192.0.2.1 198.51.100.1 1 2\r\n",
        "PROXY  TCP4 192.0.2.1 198.51.100.1 1 2\r\n",
        "PROXY TCP4  192.0.2.1 198.51.100.1 1 2\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 1 2 \r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 1 2 3\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 1\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 1 \r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 1 65536\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 -1 2\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 01 2\r\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 1 2\n",
        "PROXY TCP4 192.0.2.1 198.51.100.1 1 2\r\r\n",
        "PROXY TCP4 192.0.2 198.51.100.1 1 2\r\n",
        "PROXY TCP4 2001:db8::1 ::1 1 2\r\n",
        "PROXY TCP4 ::ffff:192.0.2.1 ::1 1 2\r\n",
        "PROXY TCP6 192.0.2.1 198.51.100.1 1 2\r\n",
        "PROXY TCP6 2001:db8::1 192.0.2.1 1 2\r\n",
        "PROXY TCP4 unix unix 1 2\r\n",
        "PROXY TCP4 192.0.2.1 unix 1 2\r\n",
        "PROXY UDP4 192.0.2.1 198.51.100.1 1 2\r\n",
        "PROXY TCP 192.0.2.1 198.51.100.1 1 2\r\n",
        "PROXY unknown\r\n",
        "PROXY \r\n      ",
        "PROXY UNKNOWN no end: "
        "12345678901234567890123456789012345678901234567890123456789012345678901"
        "234567890123456789\r\n",
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        refuses(bad[i], strlen(bad[i]));
    refuses("PROXY TCP4 192.0.2.1\0 198.51.100.1 1 2\r\n", 40);
    /* The longest line has 107 bytes with its end. */
    char text[110];
    for (int n = 106; n <= 108; n++) {
        memset(text, 'x', sizeof(text));
        memcpy(text, "PROXY UNKNOWN ", 14);
        memcpy(text + n - 2, "\r\n", 2);
        if (n <= 107)
            accepts(text, (size_t)n, "");
        else
            refuses(text, (size_t)n);
    }
}

/* A header of version 2: what its bytes 13 and 14 say, and n bytes of the rest. */
static size_t second(uint8_t *out, unsigned command, unsigned family, const void *rest, size_t n)
{
    memcpy(out, "\r\n\r\n\0\r\nQUIT\n", 12);
    out[12] = (uint8_t)command;
    out[13] = (uint8_t)family;
    out[14] = (uint8_t)(n >> 8);
    out[15] = (uint8_t)n;
    if (n > 0)
        memcpy(out + 16, rest, n);
    return 16 + n;
}

static const uint8_t four[12] = {192, 0, 2, 1, 198, 51, 100, 1, 1, 2, 3, 4};
static const uint8_t six[36] = {0x20, 1, 0x0d, 0xb8, [15] = 1, [31] = 2};
static const uint8_t more[PROXY_MAX]; /* zeros, in place of extensions and of names */

static void version_2(void)
{
    uint8_t out[PROXY_MAX + 100], long_four[100] = {0};
    accepts(out, second(out, 0x21, 0x11, four, 12), "192.0.2.1");
    accepts(out, second(out, 0x21, 0x21, six, 36), "2001:db8::1");
    accepts(out, second(out, 0x21, 0x31, more, 216), "unix");
    memcpy(long_four, four, 12); /* what may follow the addresses is read over */
    accepts(out, second(out, 0x21, 0x11, long_four, 100), "192.0.2.1");
    accepts(out, second(out, 0x21, 0x31, more, PROXY_MAX - 16), "unix");
    /* The proxy speaks for itself, or does not know. */
    accepts(out, second(out, 0x20, 0x00, NULL, 0), "");
    accepts(out, second(out, 0x20, 0x11, four, 12), "");
    accepts(out, second(out, 0x21, 0x00, NULL, 0), "");
    accepts(out, second(out, 0x21, 0x00, more, 50), "");
}

static void version_2_malformed(void)
{
    uint8_t out[PROXY_MAX + 100];
    const unsigned commands[] = {0x22, 0x2f, 0x11, 0x31, 0x01, 0x00};
    for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++)
        refuses(out, second(out, commands[i], 0x11, four, 12));
    const unsigned fams[] = {0x12, 0x10, 0x13, 0x22, 0x32, 0x41, 0xf1};
    for (size_t i = 0; i < sizeof(fams) / sizeof(fams[0]); i++)
        refuses(out, second(out, 0x21, fams[i], more, 216));
    refuses(out, second(out, 0x21, 0x11, four, 11));
    refuses(out, second(out, 0x21, 0x21, six, 35));
    refuses(out, second(out, 0x21, 0x31, more, 215));
    refuses(out, second(out, 0x21, 0x11, more, PROXY_MAX - 15)); /* by its size alone */
    for (int i = 0; i < 12; i++) {
        second(out, 0x21, 0x11, four, 12);
        out[i] ^= 0x20;
        refuses(out, 28);
    }
}

/* --- X-Forwarded-For --- */

static const char trusted[] = "10.0.0.0/8, 2001:db8:1::/48";

/* The client that a request with these fields is from; "" for none. */
static void forwarded(const char *fields, const char *client)
{
    char head[1000], text[NETADDR_TEXT] = "";
    struct http_request r;
    struct netaddr a;
    int n = snprintf(head, sizeof(head), "GET / HTTP/1.1\r\nHost: x\r\n%s\r\n", fields);
    CHECK(http_request_parse((const uint8_t *)head, (size_t)n, sizeof(head), &r) == n);
    if (proxy_forwarded(&r, trusted, &a))
        netaddr_format(&a, text);
    CHECK_STR(text, client);
}

static void the_last_address_that_is_not_trusted_counts(void)
{
    forwarded("X-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1");
    forwarded("X-Forwarded-For: 192.0.2.9, 192.0.2.1\r\n", "192.0.2.1"); /* the first is a claim */
    forwarded("X-Forwarded-For: 192.0.2.1, 10.1.1.1\r\n", "192.0.2.1");
    forwarded("X-Forwarded-For: 192.0.2.1 ,10.1.1.1,\t2001:db8:1::5 \r\n", "192.0.2.1");
    forwarded("x-forwarded-for: 192.0.2.1\r\nA: b\r\nX-FORWARDED-FOR: 10.1.1.1\r\n", "192.0.2.1");
    forwarded("X-Forwarded-For: 192.0.2.9\r\nX-Forwarded-For: 192.0.2.1\r\n", "192.0.2.1");
    forwarded("X-Forwarded-For: 2001:db8::7\r\n", "2001:db8::7");
    forwarded("X-Forwarded-For: ::ffff:192.0.2.1\r\n", "192.0.2.1");
    forwarded("X-Forwarded-For: , 192.0.2.1, ,\r\n", "192.0.2.1");
    forwarded("X-Forwarded-For: 10.0.0.1, 10.0.0.2\r\n",
              "10.0.0.1"); /* a client of our own network */
    forwarded("X-Forwarded-For: nonsense, 192.0.2.1\r\n", "192.0.2.1");
}

static void ports_and_brackets_are_read_over(void)
{
    forwarded("X-Forwarded-For: 192.0.2.1:1234\r\n", "192.0.2.1");
    forwarded("X-Forwarded-For: [2001:db8::7]:1234\r\n", "2001:db8::7");
    forwarded("X-Forwarded-For: [2001:db8::7]\r\n", "2001:db8::7");
}

static void what_is_no_address_says_nothing(void)
{
    forwarded("", "");
    forwarded("X-Forwarded-For: \r\n", "");
    forwarded("X-Forwarded-For: ,\r\n", "");
    forwarded("X-Forwarded-For: unknown\r\n", "");
    forwarded("X-Forwarded-For: unix\r\n", "");
    forwarded("X-Forwarded-For: 192.0.2.1, unknown\r\n", "");
    forwarded("X-Forwarded-For: 192.0.2.1, unknown, 10.1.1.1\r\n", "");
    forwarded("X-Forwarded-For: [2001:db8::7\r\n", "");
    forwarded("X-Forwarded-For: [2001:db8::7]x\r\n", "");
    forwarded("X-Forwarded-For: []\r\n", "");
    forwarded("X-Forwarded-For: 192.0.2.1 10.1.1.1\r\n", "");
    forwarded("X-Forwarded-Fo: 192.0.2.1\r\nForwarded: for=192.0.2.1\r\n", "");
}

int main(void)
{
    RUN(version_1);
    RUN(version_1_malformed);
    RUN(version_2);
    RUN(version_2_malformed);
    RUN(the_last_address_that_is_not_trusted_counts);
    RUN(ports_and_brackets_are_read_over);
    RUN(what_is_no_address_says_nothing);
    return DONE();
}

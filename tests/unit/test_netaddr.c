/* Addresses and lists of them. */
#include "netaddr.h"

#include "test.h"

static struct netaddr address(const char *text)
{
    struct netaddr a = {0};
    CHECK(netaddr_parse(&a, text, strlen(text)));
    return a;
}

static void text_is_read_and_written(void)
{
    static const char *const pairs[][2] = {
        {"192.0.2.1", "192.0.2.1"},
        {"::ffff:192.0.2.1", "192.0.2.1"},
        {"2001:DB8:0::1", "2001:db8::1"},
        {"::1", "::1"},
        {"::", "::"},
        {"unix", "unix"},
        {"0.0.0.0", "0.0.0.0"},
        {"1:2:3:4:5:6:7:8", "1:2:3:4:5:6:7:8"},
    };
    for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
        char text[NETADDR_TEXT];
        struct netaddr a = address(pairs[i][0]);
        netaddr_format(&a, text);
        CHECK_STR(text, pairs[i][1]);
    }
}

static void what_is_no_address_is_refused(void)
{
    static const char *const bad[] = {
        "",
        "192.0.2",
        "192.0.2.256",
        "192.0.2.1 ",
        " ::1",
        "::1%lo",
        "[::1]",
        "example.org",
        "1.2.3.4:5",
        "Unix",
        ":",
        "012.1.1.1",
        "::1::",
        "0x7f.0.0.1",
        "2130706433",
        "1111:2222:3333:4444:5555:6666:7777:8888:9999:aaaa:bbbb:cccc"};
    struct netaddr a;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        if (netaddr_parse(&a, bad[i], strlen(bad[i])))
            CHECK_STR(bad[i], "refused");
    CHECK(!netaddr_parse(&a, "::1\0", 4));
    CHECK(netaddr_parse(&a, "::1 and what follows", 3)); /* of n bytes only those count */
}

static void owners(void)
{
    struct netaddr a = address("192.0.2.1"), b = address("::ffff:192.0.2.1"),
                   c = address("192.0.2.2");
    struct netaddr d = address("2001:db8::1"), e = address("2001:db8::ffff:0:1"),
                   f = address("2001:db8:0:1::1");
    struct netaddr one = address("::1"), none = address("unix");
    CHECK(netaddr_owner(&a) == netaddr_owner(&b) && netaddr_owner(&a) != netaddr_owner(&c));
    CHECK(netaddr_owner(&d) == netaddr_owner(&e) && netaddr_owner(&d) != netaddr_owner(&f));
    CHECK(netaddr_owner(&none) == 0 && netaddr_owner(&one) != 0);
}

static bool listed(const char *text, const char *list)
{
    struct netaddr a = address(text);
    return netaddr_listed(&a, list);
}

static void lists_have_addresses_and_networks(void)
{
    CHECK(listed("192.0.2.1", "192.0.2.1") && !listed("192.0.2.2", "192.0.2.1"));
    CHECK(listed("192.0.2.1", "10.0.0.1, 192.0.2.1 ,::1") &&
          listed("::1", "10.0.0.1,192.0.2.1,::1"));
    CHECK(!listed("192.0.2.1", "") && !listed("::", "") && !listed("unix", "") &&
          !listed("unix", "::/0"));
    CHECK(listed("unix", "::1, unix") && !listed("::", "unix"));
    CHECK(listed("10.255.0.1", "10.0.0.0/8") && !listed("11.0.0.1", "10.0.0.0/8"));
    CHECK(listed("10.0.0.127", "10.0.0.0/25") && !listed("10.0.0.128", "10.0.0.0/25"));
    CHECK(listed("10.0.0.1", "10.0.0.0/31") && !listed("10.0.0.2", "10.0.0.0/31"));
    CHECK(listed("10.0.0.1", "10.0.0.1/32") && !listed("10.0.0.2", "10.0.0.1/32"));
    CHECK(listed("203.0.113.9", "0.0.0.0/0") && !listed("2001:db8::1", "0.0.0.0/0"));
    CHECK(listed("2001:db8:ffff::1", "2001:db8::/32") && !listed("2001:db9::1", "2001:db8::/32"));
    CHECK(listed("2001:db8:0:1::", "2001:db8::/63") && !listed("2001:db8:0:2::", "2001:db8::/63"));
    CHECK(listed("::ffff:10.1.1.1", "10.0.0.0/8")); /* however a socket shows it */
}

static void bad_entries_of_lists_are_found(void)
{
    static const char *const bad[] = {"10.0.0.0/33",   "10.0.0.0/",      "10.0.0.0/x",
                                      "10.0.0.1/8",    "2001:db8::/129", "2001:db8::1/32",
                                      "unix/8",        "localhost",      "10.0.0.0/-1",
                                      "10.0.0.0/0008", "10.0.0.0/8/8",   ""};
    size_t n;
    CHECK(!netaddr_list_error("", &n) &&
          !netaddr_list_error(" 10.0.0.0/8 , ::1,unix, 0.0.0.0/0 ", &n));
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char list[100];
        snprintf(list, sizeof(list), "::1, %s , 10.0.0.1", bad[i]);
        const char *entry = netaddr_list_error(list, &n);
        CHECK(entry && n == strlen(bad[i]) && memcmp(entry, bad[i], n) == 0);
    }
}

int main(void)
{
    RUN(text_is_read_and_written);
    RUN(what_is_no_address_is_refused);
    RUN(owners);
    RUN(lists_have_addresses_and_networks);
    RUN(bad_entries_of_lists_are_found);
    return DONE();
}

/* Which clients count together as those of one address. */
#include "addresses.h"

#include "conf.h"
#include "netaddr.h"
#include "test.h"

static struct address *enter(const char *text)
{
    struct netaddr peer;
    CHECK(netaddr_parse(&peer, text, strlen(text)));
    return addresses_enter(&peer);
}

static void same(const char *one, const char *other)
{
    struct address *a = enter(one), *b = enter(other);
    CHECK(a == b && addresses_clients(a) == 2);
    addresses_leave(a);
    CHECK(addresses_clients(b) == 1);
    addresses_leave(b);
    a = enter(one);
    CHECK(addresses_clients(a) == 1); /* it was forgotten */
    addresses_leave(a);
}

static void different(const char *one, const char *other)
{
    struct address *a = enter(one), *b = enter(other);
    CHECK(a != b && addresses_clients(a) == 1 && addresses_clients(b) == 1);
    addresses_leave(a);
    addresses_leave(b);
}

static void all_of_an_ipv4_address_counts(void)
{
    same("192.0.2.1", "192.0.2.1");
    different("192.0.2.1", "192.0.2.2");
    different("192.0.2.1", "193.0.2.1");
}

static void ipv4_is_the_same_through_an_ipv6_socket(void)
{
    same("192.0.2.1", "::ffff:192.0.2.1");
    different("192.0.2.1", "::ffff:192.0.2.2");
    different("::ffff:192.0.2.1", "::1");
}

static void of_ipv6_the_first_64_bits_count(void)
{
    same("2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff");
    different("2001:db8:0:1::1", "2001:db8:0:2::1");
    different("2001:db8:0:1::1", "3001:db8:0:1::1");
    same("::1", "::1");
}

static void unix_sockets_are_not_counted(void)
{
    struct address *a = enter("unix");
    CHECK(!a && addresses_clients(a) == 0);
    addresses_leave(a);
}

static int most(int clients, int set, const char *text)
{
    struct netaddr peer;
    struct conf conf = {.max_clients = clients, .max_clients_per_address = set};
    CHECK(netaddr_parse(&peer, text, strlen(text)));
    return addresses_most(&conf, &peer);
}

static void unless_it_is_set_one_address_gets_a_quarter_of_the_places(void)
{
    CHECK(most(1000, -1, "192.0.2.1") == 250);
    CHECK(most(100000, -1, "2001:db8::1") == 25000);
    CHECK(most(64, -1, "192.0.2.1") == 16);
    CHECK(most(40, -1, "192.0.2.1") == 16);
    CHECK(most(1, -1, "192.0.2.1") == 16);
}

static void unless_it_is_set_this_machine_gets_all_of_them(void)
{
    CHECK(most(1000, -1, "127.0.0.1") == 0);
    CHECK(most(1000, -1, "127.1.2.3") == 0);
    CHECK(most(1000, -1, "::ffff:127.0.0.1") == 0);
    CHECK(most(1000, -1, "::1") == 0);
    CHECK(most(1000, -1, "128.0.0.1") == 250);
    CHECK(most(1000, -1, "::2") == 250);
}

static void what_is_set_holds_for_everybody(void)
{
    CHECK(most(1000, 0, "192.0.2.1") == 0);
    CHECK(most(1000, 3, "192.0.2.1") == 3);
    CHECK(most(1000, 3, "127.0.0.1") == 3);
    CHECK(most(1000, 2000, "192.0.2.1") == 2000);
}

/* Many at a time, leaving in an order that has nothing to do with that of their coming. */
static void many_are_told_apart(void)
{
    enum { MANY = 20000 };
    static struct address *all[MANY];
    char text[64];
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < MANY; i++) {
            snprintf(text, sizeof(text), i % 2 ? "10.%d.%d.%d" : "2001:db8:%x:%02x%02x::1", i >> 16,
                     i >> 8 & 255, i & 255);
            all[i] = enter(text);
            CHECK(addresses_clients(all[i]) == 1);
        }
        for (int i = 0; i < MANY; i++) {
            int at = (int)((long)i * 7919 % MANY);
            addresses_leave(all[at]);
        }
    }
}

int main(void)
{
    RUN(all_of_an_ipv4_address_counts);
    RUN(ipv4_is_the_same_through_an_ipv6_socket);
    RUN(of_ipv6_the_first_64_bits_count);
    RUN(unix_sockets_are_not_counted);
    RUN(unless_it_is_set_one_address_gets_a_quarter_of_the_places);
    RUN(unless_it_is_set_this_machine_gets_all_of_them);
    RUN(what_is_set_holds_for_everybody);
    RUN(many_are_told_apart);
    return DONE();
}

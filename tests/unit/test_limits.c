/* What is remembered of logins: whose failures delay whom, and what is forgotten when. */
#include "limits.h"

#include "conf.h"
#include "test.h"

enum { MINUTE_MS = 60 * 1000, HOME = 1, WORK = 2, ELSEWHERE = 3 };

static struct conf conf;

static void begin(size_t most)
{
    conf_init(&conf);
    conf.login_delay = 5000;
    conf.login_failures = 10;
    conf.typing_rate = 3;
    conf.register_rate = 3;
    limits_init(&conf, most);
}

static void end(void)
{
    limits_free();
    conf_free(&conf);
}

static uint64_t account(const char *name)
{
    return limits_account(name, strlen(name));
}

static void names_have_numbers_of_their_own_whatever_their_case(void)
{
    CHECK(account("alice") == account("ALICE") && account("aLiCe") == account("alice"));
    CHECK(account("alice") != account("alicf") && account("alice") != account("alicea"));
    CHECK(account("") != account("a") && limits_account("a\0", 2) != account("a"));
    CHECK(account("ab") != account("ba") && limits_account("\0", 1) != limits_account("\0\0", 2));
}

static void each_failure_doubles_the_wait_up_to_the_longest(void)
{
    begin(16);
    static const int64_t waits[] = {0,    100,  200,  400,  800,  1600, 3200,
                                    5000, 5000, 5000, 5000, 5000, 5000};
    for (size_t i = 0; i < sizeof(waits) / sizeof(waits[0]); i++) {
        CHECK(limits_delay(account("a"), HOME, 1000) == waits[i]);
        limits_failed(account("a"), HOME, 1000);
    }
    CHECK(limits_delay(account("b"), HOME, 1000) == 0);
    conf.login_delay = 0;
    CHECK(limits_delay(account("a"), HOME, 1000) == 0);
    end();
}

static void each_minute_takes_one_failure_back(void)
{
    begin(16);
    for (int i = 0; i < 3; i++)
        limits_failed(account("a"), HOME, 1000);
    CHECK(limits_delay(account("a"), HOME, 1000 + MINUTE_MS) == 200);
    CHECK(limits_delay(account("a"), HOME, 1000 + 3 * MINUTE_MS) == 0);
    /* However many there were. */
    for (int i = 0; i < 1000; i++)
        limits_failed(account("b"), HOME, 1000);
    CHECK(limits_delay(account("b"), HOME, 1000 + 9 * MINUTE_MS) == 100);
    CHECK(limits_delay(account("b"), HOME, 1000 + 10 * MINUTE_MS) == 0);
    end();
}

static void a_known_address_waits_for_its_own_failures_only(void)
{
    begin(16);
    uint64_t a = account("a");
    CHECK(!limits_known(a, HOME));
    limits_succeeded(a, HOME, 1000);
    CHECK(limits_known(a, HOME) && !limits_known(a, WORK) && !limits_known(account("b"), HOME));
    for (int i = 0; i < 10; i++)
        limits_failed(a, ELSEWHERE, 1000);
    CHECK(limits_delay(a, HOME, 1000) == 0);
    CHECK(limits_delay(a, WORK, 1000) == 5000 && limits_delay(a, ELSEWHERE, 1000) == 5000);
    limits_failed(a, HOME, 1000);
    limits_failed(a, HOME, 1000);
    CHECK(limits_delay(a, HOME, 1000) == 200);
    limits_succeeded(a, HOME, 1000); /* and the right password forgives them */
    CHECK(limits_delay(a, HOME, 1000) == 0 && limits_delay(a, ELSEWHERE, 1000) == 5000);
    /* A Unix socket is a place like any other. */
    CHECK(!limits_known(a, 0));
    limits_succeeded(a, 0, 1000);
    CHECK(limits_known(a, 0));
    end();
}

static void eight_addresses_of_an_account_are_known_the_latest(void)
{
    begin(16);
    uint64_t a = account("a");
    for (uint64_t at = 1; at <= 8; at++)
        limits_succeeded(a, at, 1000 + (int64_t)at);
    limits_succeeded(a, 1, 2000); /* used again */
    limits_succeeded(a, 9, 2001);
    CHECK(limits_known(a, 1) && !limits_known(a, 2));
    for (uint64_t at = 3; at <= 9; at++)
        CHECK(limits_known(a, at));
    end();
}

static void an_address_may_fail_so_often_in_an_hour(void)
{
    begin(16);
    for (int i = 0; i < 10; i++)
        CHECK(limits_take_failure(HOME, 1000));
    CHECK(!limits_take_failure(HOME, 1000) && limits_take_failure(WORK, 1000));
    limits_return_failure(HOME);
    CHECK(limits_take_failure(HOME, 1000) && !limits_take_failure(HOME, 1000));
    CHECK(!limits_take_failure(HOME, 1000 + 5 * MINUTE_MS));
    CHECK(limits_take_failure(HOME, 1000 + 6 * MINUTE_MS));
    for (int i = 0; i < 100; i++)
        CHECK(limits_take_failure(0, 1000)); /* a Unix socket */
    limits_return_failure(12345);            /* long forgotten */
    end();
}

static void registrations_have_an_allowance_of_their_own(void)
{
    begin(16);
    for (int i = 0; i < 3; i++)
        CHECK(limits_register(HOME, 1000));
    CHECK(!limits_register(HOME, 1000) && limits_register(WORK, 1000));
    CHECK(limits_take_failure(HOME, 1000));
    CHECK(limits_register(HOME, 1000 + 20 * MINUTE_MS));
    for (int i = 0; i < 100; i++)
        CHECK(limits_register(0, 1000));
    conf.register_rate = 0;
    conf.login_failures = 0;
    for (int i = 0; i < 100; i++)
        CHECK(limits_register(HOME, 1000) && limits_take_failure(HOME, 1000));
    end();
}

static void a_user_may_type_so_often_in_a_second(void)
{
    begin(16);
    for (int i = 0; i < 3; i++)
        CHECK(limits_typing(7, 1000));
    CHECK(!limits_typing(7, 1000) && limits_typing(8, 1000));
    CHECK(!limits_typing(7, 1333) && limits_typing(7, 1334) && !limits_typing(7, 1334));
    CHECK(limits_typing(7, 3000) && limits_typing(7, 3000) && limits_typing(7, 3000));
    CHECK(!limits_typing(7, 3000));
    conf.typing_rate = 0;
    CHECK(!limits_typing(7, 9000) && !limits_typing(9, 9000));
    end();
}

static void a_user_may_block_so_often_in_a_minute(void)
{
    begin(16);
    for (int i = 0; i < 60; i++)
        CHECK(limits_block(7, 1000));
    CHECK(!limits_block(7, 1000) && limits_block(8, 1000) && limits_typing(7, 1000));
    CHECK(!limits_block(7, 1999) && limits_block(7, 2000) && !limits_block(7, 2000));
    end();
}

/* Somebody tries a hundred thousand names that nobody has, from as many addresses. */
static void a_flood_of_names_drives_out_its_own_records(void)
{
    begin(256);
    uint64_t owner = account("owner"), victim = account("victim");
    limits_succeeded(owner, HOME, 1000);
    for (int i = 0; i < 10; i++) {
        limits_failed(owner, ELSEWHERE, 1000);
        limits_failed(victim, ELSEWHERE, 1000);
        CHECK(limits_take_failure(ELSEWHERE, 1000));
    }
    for (int i = 0; i < 100000; i++) {
        char name[32];
        snprintf(name, sizeof(name), "nobody%d", i);
        limits_failed(account(name), (uint64_t)(1000 + i), 2000);
        CHECK(limits_take_failure((uint64_t)(1000 + i), 2000));
    }
    CHECK(limits_known(owner, HOME) && limits_delay(owner, ELSEWHERE, 2000) == 5000);
    CHECK(limits_delay(victim, ELSEWHERE, 2000) == 5000);
    CHECK(!limits_take_failure(ELSEWHERE, 2000));
    end();
}

int main(void)
{
    RUN(names_have_numbers_of_their_own_whatever_their_case);
    RUN(each_failure_doubles_the_wait_up_to_the_longest);
    RUN(each_minute_takes_one_failure_back);
    RUN(a_known_address_waits_for_its_own_failures_only);
    RUN(eight_addresses_of_an_account_are_known_the_latest);
    RUN(an_address_may_fail_so_often_in_an_hour);
    RUN(registrations_have_an_allowance_of_their_own);
    RUN(a_user_may_type_so_often_in_a_second);
    RUN(a_user_may_block_so_often_in_a_minute);
    RUN(a_flood_of_names_drives_out_its_own_records);
    return DONE();
}

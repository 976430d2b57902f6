/* Lines that clients cause: how many are written, and that none is forgotten. */
#include "repeats.h"

#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "clock.h"
#include "test.h"

/* What a test has logged. */
static int file;
static char text[1 << 20];

static void begin(enum log_level level)
{
    if (file == 0)
        file = memfd_create("log", 0);
    CHECK(ftruncate(file, 0) == 0 && lseek(file, 0, SEEK_SET) == 0);
    log_init(file, LOG_TO_FILE, level);
}

static const char *end(void)
{
    repeats_end();
    ssize_t n = pread(file, text, sizeof(text) - 1, 0);
    text[n > 0 ? n : 0] = 0;
    return text;
}

static struct netaddr address(const char *name)
{
    struct netaddr a;
    CHECK(netaddr_parse(&a, name, strlen(name)));
    return a;
}

/* Lines with these words; *told: how many events they stand for, by "and N more". */
static unsigned count_lines(const char *words, unsigned long *told)
{
    unsigned lines = 0;
    *told = 0;
    for (char *line = text, *next; *line; line = next) {
        next = strchr(line, '\n') + 1;
        char *found = strstr(line, words);
        if (!found || found > next)
            continue;
        const char *more = strstr(found, "and ");
        *told += more && more < next ? strtoul(more + 4, NULL, 10) : 1;
        lines++;
    }
    return lines;
}

/* The most lines of one kind and address since then: those of the start, and two a second. */
static unsigned most_since(int64_t begun)
{
    return 5 + 2 * (unsigned)((clock_ms() - begun) / 1000 + 1);
}

static void one(const struct netaddr *from, int i)
{
    repeats_log(LOG_L_INFO, from, "one %d", i);
}

static void other(const struct netaddr *from, int i)
{
    repeats_log(LOG_L_WARN, from, "other %d", i);
}

static void a_few_are_written_and_all_are_counted(void)
{
    struct netaddr a = address("192.0.2.1");
    int64_t begun = clock_ms();
    unsigned long told;
    begin(LOG_L_INFO);
    for (int i = 0; i < 5000; i++)
        one(&a, i);
    CHECK(strstr(end(), " info chatd: one 0; from 192.0.2.1\n"));
    CHECK(strstr(text, " info chatd: one 4; from 192.0.2.1\n"));
    CHECK(strstr(text, "; from 192.0.2.1, and "));
    CHECK(count_lines(" chatd: one ", &told) <= most_since(begun));
    CHECK(told == 5000);
    CHECK(repeats_due() == CLOCK_NEVER);
}

static void what_was_counted_is_due_within_a_second(void)
{
    struct netaddr a = address("192.0.2.2");
    begin(LOG_L_INFO);
    CHECK(repeats_due() == CLOCK_NEVER);
    for (int i = 0; i < 100; i++)
        one(&a, i);
    CHECK(repeats_due() <= clock_ms() + 1000);
    while (repeats_due() != CLOCK_NEVER)
        usleep((useconds_t)clock_until(repeats_due()) * 1000);
    unsigned long told;
    CHECK(end() && count_lines(" chatd: one ", &told) >= 6 && told == 100);
}

static void another_kind_and_another_address_are_not_held_back(void)
{
    struct netaddr a = address("192.0.2.3"), b = address("2001:db8::1"), c = address("2001:db8::2"),
                   d = address("2001:db8:0:1::2");
    begin(LOG_L_INFO);
    for (int i = 0; i < 100; i++) {
        one(&a, i);
        one(&b, i);
    }
    other(&a, 1);
    one(&d, 2);
    one(NULL, 3);
    one(&c, 777); /* of the same 64 bits as b */
    log_error("the database is away");
    end();
    CHECK(strstr(text, " warning chatd: other 1; from 192.0.2.3\n"));
    CHECK(strstr(text, " chatd: one 2; from 2001:db8:0:1::2\n"));
    CHECK(strstr(text, " chatd: one 3\n"));
    CHECK(strstr(text, " error chatd: the database is away\n"));
    CHECK(!strstr(text, "one 777"));
}

static void any_number_of_addresses_writes_little(void)
{
    enum { MANY = 3000 };
    int64_t begun = clock_ms();
    unsigned long told_one, told_other;
    begin(LOG_L_INFO);
    for (int i = 0; i < 2 * MANY; i++) {
        char name[32];
        snprintf(name, sizeof(name), "10.1.%d.%d", i % MANY >> 8, i & 255);
        struct netaddr a = address(name);
        one(&a, i);
        other(&a, i);
    }
    end();
    unsigned lines =
        count_lines(" chatd: one ", &told_one) + count_lines(" chatd: other ", &told_other);
    CHECK(lines <= 26 * most_since(begun));
    CHECK(told_one == 2 * MANY && told_other == 2 * MANY);
    CHECK(strstr(text, " more from other addresses\n"));
}

static void at_debug_nothing_is_held_back_and_at_error_nothing_is_written(void)
{
    struct netaddr a = address("192.0.2.4");
    unsigned long told;
    begin(LOG_L_DEBUG);
    for (int i = 0; i < 1000; i++)
        one(&a, i);
    CHECK(end() && count_lines(" chatd: one ", &told) == 1000 && told == 1000);
    begin(LOG_L_ERROR);
    for (int i = 0; i < 1000; i++)
        other(&a, i);
    CHECK_STR(end(), "");
}

int main(void)
{
    RUN(a_few_are_written_and_all_are_counted);
    RUN(what_was_counted_is_due_within_a_second);
    RUN(another_kind_and_another_address_are_not_held_back);
    RUN(any_number_of_addresses_writes_little);
    RUN(at_debug_nothing_is_held_back_and_at_error_nothing_is_written);
    return DONE();
}

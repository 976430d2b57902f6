/* Password hashes: the forms, the limits of bcrypt, what does not verify, and what it costs. */
#include "bcrypt.h"

#include <crypt.h>
#include <dlfcn.h>
#include <stdlib.h>

#include "test.h"

enum { COST = 6, MOST = 10 };

static long rounds; /* computed since they were set to 0 */

/* In the way of libcrypt's, to count. */
char *crypt_r(const char *phrase, const char *setting, struct crypt_data *data)
{
    char *(*real)(const char *, const char *, struct crypt_data *);
    *(void **)&real = dlsym(RTLD_NEXT, "crypt_r");
    rounds += strncmp(setting, "$2", 2) == 0 ? 1L << atoi(setting + 4) : 0;
    return real(phrase, setting, data);
}

static enum ipc_check verify(const char *password, const char *hash)
{
    return bcrypt_verify(password, strlen(password), hash, strlen(hash), 0);
}

/* A hash of "secret" of this form and cost; for free(3). */
static char *hash_of(const char *prefix, int cost)
{
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    struct crypt_data *data = calloc(1, sizeof(*data));
    crypt_gensalt_rn(prefix, (unsigned long)cost, NULL, 0, setting, sizeof(setting));
    char *hash = strdup(crypt_r("secret", setting, data));
    free(data);
    return hash;
}

static void a_hash_verifies_its_password_only(void)
{
    char hash[BCRYPT_HASH_SIZE];
    CHECK(bcrypt_hash("secret words", 12, hash));
    CHECK(strncmp(hash, "$2b$06$", 7) == 0 && strlen(hash) == 60);
    CHECK(verify("secret words", hash) == IPC_RIGHT);
    CHECK(verify("secret word", hash) == IPC_WRONG);
    CHECK(verify("secret words ", hash) == IPC_WRONG);
    CHECK(verify("", hash) == IPC_WRONG);
}

static void each_hash_has_its_own_salt(void)
{
    char a[BCRYPT_HASH_SIZE], b[BCRYPT_HASH_SIZE];
    CHECK(bcrypt_hash("same", 4, a) && bcrypt_hash("same", 4, b));
    CHECK(strcmp(a, b) != 0);
}

static void a_password_that_bcrypt_would_cut_is_refused(void)
{
    char hash[BCRYPT_HASH_SIZE], longest[73];
    memset(longest, 'x', sizeof(longest));
    CHECK(bcrypt_hash(longest, 72, hash));
    CHECK(bcrypt_verify(longest, 72, hash, 60, 0) == IPC_RIGHT);
    CHECK(!bcrypt_hash(longest, 73, hash));
    CHECK(bcrypt_verify(longest, 73, hash, 60, 0) == IPC_WRONG);
    CHECK(!bcrypt_hash("a\0b", 3, hash));
    CHECK(bcrypt_verify("a\0b", 3, hash, 60, 0) == IPC_WRONG);
}

static void nothing_verifies_against_what_is_no_bcrypt_hash(void)
{
    static const char *const others[] = {
        "",
        "*0",
        "ab0123456789.",          /* DES */
        "$1$salt$0123456789abcd", /* MD5 */
        "$6$salt$0123456789abcdef",
        "$2x$06$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2$06$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeWw",
        "$2b$00$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2b$03$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2b$6$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeWww",
        "$2b$06$\001CCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW",
        "$2b$06$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOe",
        "$2b$06$short",
    };
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        CHECK(verify("U*U", others[i]) == IPC_NO_HASH);
}

/* The vector that comes with crypt_blowfish, and its likes in the forms that others write. */
static void the_three_forms_verify_and_are_to_be_renewed(void)
{
    CHECK(verify("U*U", "$2a$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW") ==
          IPC_STALE);
    CHECK(verify("U*U", "$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW") ==
          IPC_STALE);
    CHECK(verify("U*U*", "$2y$05$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW") ==
          IPC_WRONG);
    static const char *const forms[] = {"$2a$", "$2b$", "$2y$"};
    for (size_t i = 0; i < 3; i++)
        for (int cost = COST - 1; cost <= COST + 1; cost++) {
            char *hash = hash_of(forms[i], cost);
            bool fresh = i == 1 && cost == COST;
            CHECK(verify("secret", hash) == (fresh ? IPC_RIGHT : IPC_STALE));
            CHECK(verify("Secret", hash) == IPC_WRONG);
            free(hash);
        }
}

/* Of the last character of a salt four bits do not count; some systems set them. */
static void bits_of_the_salt_that_do_not_count_may_be_set(void)
{
    CHECK(verify("U*U", "$2b$05$CCCCCCCCCCCCCCCCCCCCC/E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW") ==
          IPC_STALE);
}

static void a_hash_that_is_too_dear_is_not_computed(void)
{
    char hash[] = "$2b$00$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW";
    static const int dear[] = {MOST + 1, 20, 31, 32, 99};
    for (size_t i = 0; i < sizeof(dear) / sizeof(dear[0]); i++) {
        hash[4] = (char)('0' + dear[i] / 10);
        hash[5] = (char)('0' + dear[i] % 10);
        rounds = 0;
        CHECK(verify("U*U", hash) == IPC_DEAR_HASH && rounds == 1 << COST);
    }
    char *most = hash_of("$2b$", MOST);
    CHECK(verify("secret", most) == IPC_STALE);
    free(most);
}

static long rounds_of(const char *hash, int work)
{
    rounds = 0;
    bcrypt_verify("wrong", 5, hash, strlen(hash), work);
    return rounds;
}

/* Nor does the time tell whether there is a hash, nor of which cost. */
static void whatever_the_hash_it_takes_the_same_rounds(void)
{
    static const int works[] = {0, 4, COST, COST + 1, MOST, 20, 31, 255};
    for (size_t i = 0; i < sizeof(works) / sizeof(works[0]); i++) {
        int work = works[i] > COST ? works[i] : COST;
        long expected = 1L << (work < MOST ? work : MOST);
        CHECK(rounds_of("", works[i]) == expected);
        CHECK(rounds_of("$1$salt$0123456789abcd", works[i]) == expected);
        CHECK(rounds_of("$2b$31$CCCCCCCCCCCCCCCCCCCCC.E5YPO9kmyuRGyh0XouQYb4YMJKvyOeW", works[i]) ==
              expected);
        for (int cost = 4; 1L << cost <= expected; cost++) {
            char *hash = hash_of("$2y$", cost);
            CHECK(rounds_of(hash, works[i]) == expected);
            free(hash);
        }
    }
}

int main(void)
{
    bcrypt_init(COST, MOST);
    RUN(a_hash_verifies_its_password_only);
    RUN(each_hash_has_its_own_salt);
    RUN(a_password_that_bcrypt_would_cut_is_refused);
    RUN(nothing_verifies_against_what_is_no_bcrypt_hash);
    RUN(the_three_forms_verify_and_are_to_be_renewed);
    RUN(bits_of_the_salt_that_do_not_count_may_be_set);
    RUN(a_hash_that_is_too_dear_is_not_computed);
    RUN(whatever_the_hash_it_takes_the_same_rounds);
    return DONE();
}

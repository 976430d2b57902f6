/* Password hashes: the form, the limits of bcrypt, and what does not verify. */
#include "bcrypt.h"

#include "test.h"

static void a_hash_verifies_its_password_only(void)
{
    char hash[BCRYPT_HASH_SIZE];
    CHECK(bcrypt_hash("secret words", 12, hash));
    CHECK(strncmp(hash, "$2b$04$", 7) == 0 && strlen(hash) == 60);
    CHECK(bcrypt_verify("secret words", 12, hash, 60));
    CHECK(!bcrypt_verify("secret word", 11, hash, 60));
    CHECK(!bcrypt_verify("secret words ", 13, hash, 60));
    CHECK(!bcrypt_verify("", 0, hash, 60));
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
    CHECK(bcrypt_verify(longest, 72, hash, 60));
    CHECK(!bcrypt_hash(longest, 73, hash));
    CHECK(!bcrypt_verify(longest, 73, hash, 60));
    CHECK(!bcrypt_hash("a\0b", 3, hash));
    CHECK(!bcrypt_verify("a\0b", 3, hash, 60));
}

static void nothing_verifies_against_what_is_no_bcrypt_hash(void)
{
    static const char *const others[] = {
        "",
        "*0",
        "ab0123456789.",          /* DES */
        "$1$salt$0123456789abcd", /* MD5 */
        "$2a$04$abcdefghijklmnopqrstuuCZ6nY4Y6Kq1n4pNIwYHo7Zl5V5OS9iO",
        "$2b$04$short",
    };
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
        CHECK(!bcrypt_verify("", 0, others[i], strlen(others[i])));
}

int main(void)
{
    bcrypt_init(4);
    RUN(a_hash_verifies_its_password_only);
    RUN(each_hash_has_its_own_salt);
    RUN(a_password_that_bcrypt_would_cut_is_refused);
    RUN(nothing_verifies_against_what_is_no_bcrypt_hash);
    return DONE();
}

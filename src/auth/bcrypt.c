/* bcrypt; see bcrypt.h. */
#include "bcrypt.h"

#include <crypt.h>
#include <string.h>

#include "log.h"

static int rounds;
static struct crypt_data *data;       /* 32 kB: once, not on the stack */
static char nobody[BCRYPT_HASH_SIZE]; /* a hash of a password that nobody has */

/* crypt(3) with what it leaves behind overwritten. */
static bool compute(const char *password, size_t n, const char *setting, char out[BCRYPT_HASH_SIZE])
{
    char text[BCRYPT_MAX_PASSWORD + 1];
    if (n > BCRYPT_MAX_PASSWORD || memchr(password, 0, n))
        return false;
    memcpy(text, password, n);
    text[n] = 0;
    const char *hash = crypt_r(text, setting, data);
    explicit_bzero(text, sizeof(text));
    bool good = hash && strlen(hash) == BCRYPT_HASH_SIZE - 1 && strncmp(hash, "$2b$", 4) == 0;
    if (good)
        memcpy(out, hash, BCRYPT_HASH_SIZE);
    explicit_bzero(data, sizeof(*data));
    return good;
}

bool bcrypt_hash(const char *password, size_t n, char out[BCRYPT_HASH_SIZE])
{
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    if (!crypt_gensalt_rn("$2b$", (unsigned long)rounds, NULL, 0, setting, sizeof(setting)))
        return false;
    return compute(password, n, setting, out);
}

void bcrypt_init(int cost)
{
    rounds = cost;
    data = xcalloc(1, sizeof(*data));
    if (!bcrypt_hash("", 0, nobody))
        die("crypt(3) does not provide bcrypt ($2b$) of cost %d", cost);
    /* The hash of the empty password, with its last character changed to another of the alphabet.
     */
    nobody[BCRYPT_HASH_SIZE - 2] = nobody[BCRYPT_HASH_SIZE - 2] == 'a' ? 'e' : 'a';
}

/* The time that it takes must not tell where two hashes differ. */
static bool equal(const char *a, const char *b, size_t n)
{
    unsigned char difference = 0;
    for (size_t i = 0; i < n; i++)
        difference |= (unsigned char)(a[i] ^ b[i]);
    return difference == 0;
}

bool bcrypt_verify(const char *password, size_t n, const char *hash, size_t hash_n)
{
    char setting[BCRYPT_HASH_SIZE], got[BCRYPT_HASH_SIZE];
    bool usable = hash_n == BCRYPT_HASH_SIZE - 1 && memcmp(hash, "$2b$", 4) == 0;
    memcpy(setting, usable ? hash : nobody, BCRYPT_HASH_SIZE - 1);
    setting[BCRYPT_HASH_SIZE - 1] = 0;
    bool good = compute(password, n, setting, got) && equal(got, setting, BCRYPT_HASH_SIZE - 1);
    explicit_bzero(got, sizeof(got));
    explicit_bzero(setting, sizeof(setting));
    return good && usable;
}

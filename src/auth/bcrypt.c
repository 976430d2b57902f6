/* bcrypt; see bcrypt.h. */
#include "bcrypt.h"

#include <crypt.h>
#include <stdio.h>
#include <string.h>

#include "log.h"

enum { SALT_END = 29 }; /* "$2b$10$" and 22 characters; the other 31 are the hash itself */

static int usual;                     /* cost of new hashes */
static int highest;                   /* highest cost computed at all */
static struct crypt_data *data;       /* 32 kB: once, not on the stack */
static char nobody[BCRYPT_HASH_SIZE]; /* its salt serves where there is no hash */

/* Does bcrypt read all of it? */
static bool fits(const char *password, size_t n)
{
    return n <= BCRYPT_MAX_PASSWORD && !memchr(password, 0, n);
}

/* crypt(3), then overwrites what it leaves behind. */
static bool compute(const char *password, size_t n, const char *setting, char out[BCRYPT_HASH_SIZE])
{
    char text[BCRYPT_MAX_PASSWORD + 1];
    if (!fits(password, n))
        return false;
    memcpy(text, password, n);
    text[n] = 0;
    const char *hash = crypt_r(text, setting, data);
    explicit_bzero(text, sizeof(text));
    bool good = hash && strlen(hash) == BCRYPT_HASH_SIZE - 1 && strncmp(hash, setting, 4) == 0;
    if (good)
        memcpy(out, hash, BCRYPT_HASH_SIZE);
    explicit_bzero(data, sizeof(*data));
    return good;
}

bool bcrypt_hash(const char *password, size_t n, char out[BCRYPT_HASH_SIZE])
{
    char setting[CRYPT_GENSALT_OUTPUT_SIZE];
    if (!crypt_gensalt_rn("$2b$", (unsigned long)usual, NULL, 0, setting, sizeof(setting)))
        return false;
    return compute(password, n, setting, out);
}

void bcrypt_init(int cost, int most)
{
    usual = cost;
    highest = most;
    data = xcalloc(1, sizeof(*data));
    if (!bcrypt_hash("", 0, nobody))
        die("crypt(3) does not provide bcrypt ($2b$) of cost %d", cost);
}

/* Compares in constant time: timing must not tell where two hashes differ. */
static bool equal(const char *a, const char *b, size_t n)
{
    unsigned char difference = 0;
    for (size_t i = 0; i < n; i++)
        difference |= (unsigned char)(a[i] ^ b[i]);
    return difference == 0;
}

/* The cost in a bcrypt hash of one of the three forms; 0 if it is not one. */
static int cost_of(const char *hash, size_t n)
{
    if (n != BCRYPT_HASH_SIZE - 1 || memcmp(hash, "$2", 2) != 0 || hash[3] != '$' || hash[6] != '$')
        return 0;
    if (hash[2] != 'a' && hash[2] != 'b' && hash[2] != 'y')
        return 0;
    int tens = hash[4] - '0', ones = hash[5] - '0';
    return tens >= 0 && tens <= 9 && ones >= 0 && ones <= 9 ? 10 * tens + ones : 0;
}

/* Takes the time of a hash of this cost. */
static void spend(const char *password, size_t n, int cost)
{
    char setting[BCRYPT_HASH_SIZE], out[BCRYPT_HASH_SIZE];
    snprintf(setting, sizeof(setting), "$2b$%02d$%.22s", cost, nobody + 7);
    compute(password, n, setting, out);
    explicit_bzero(out, sizeof(out));
}

/* Compares the password with a hash of a cost that may be computed. The salt is not compared: some
 * systems write bits into its last character that do not count. */
static enum ipc_check compare(const char *password, size_t n, const char *hash, int cost)
{
    char setting[BCRYPT_HASH_SIZE], got[BCRYPT_HASH_SIZE];
    memcpy(setting, hash, BCRYPT_HASH_SIZE - 1);
    setting[BCRYPT_HASH_SIZE - 1] = 0;
    enum ipc_check check = IPC_NO_HASH;
    if (compute(password, n, setting, got)) {
        bool right = equal(got + SALT_END, setting + SALT_END, BCRYPT_HASH_SIZE - 1 - SALT_END);
        bool stale = cost != usual || hash[2] != 'b';
        check = !right ? IPC_WRONG : stale ? IPC_STALE : IPC_RIGHT;
    }
    explicit_bzero(got, sizeof(got));
    explicit_bzero(setting, sizeof(setting));
    return check;
}

enum ipc_check bcrypt_verify(const char *password, size_t n, const char *hash, size_t hash_n,
                             int work)
{
    if (!fits(password, n))
        return IPC_WRONG;
    int cost = cost_of(hash, hash_n);
    int target = work > usual ? work : usual;
    target = target < highest ? target : highest;
    enum ipc_check check = cost > highest ? IPC_DEAR_HASH : IPC_NO_HASH;
    if (cost > 0 && cost <= highest)
        check = compare(password, n, hash, cost);
    if (check == IPC_NO_HASH || check == IPC_DEAR_HASH)
        spend(password, n, target);
    else /* 2^4 rounds, say, and another 2^4, 2^5, 2^6 are 2^7 */
        for (; cost < target; cost++)
            spend(password, n, cost);
    return check;
}

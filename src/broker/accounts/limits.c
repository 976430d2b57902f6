/* Memory of logins, registrations, and what users do often; see limits.h. */
#include "limits.h"

#include <stdlib.h>
#include <string.h>

#include "bucket.h"
#include "conf.h"
#include "log.h"
#include "map.h"
#include "random.h"

enum {
    KNOWN = 8,             /* addresses remembered per account */
    FIRST_DELAY_MS = 100,  /* after one failure; doubles with each more */
    FAILURES_MOST = 10,    /* that are counted */
    FORGET_MS = 60 * 1000, /* forgets one failure per this time */
    HOUR_MS = 3600 * 1000,
    MINUTE_MS = 60 * 1000,
    BLOCKS_A_MINUTE = 60,
    GROUPS_A_MINUTE = 120,
    LOOKED_AT = 8, /* records compared to choose one to evict */
};

/* Wrong passwords that are not forgotten yet. */
struct failures {
    int64_t gone_at; /* when the last of them will be forgotten */
};

struct known {
    uint64_t address;
    int64_t used; /* 0: free */
    struct failures failures;
};

struct account {
    uint64_t key;
    struct failures strangers;
    struct known known[KNOWN];
};

struct address {
    uint64_t key;
    struct bucket failures, registrations;
};

/* Records of one kind. The key is the first member of each. */
struct shelf {
    struct map by_key;
    void **all; /* most of them, count in use */
    size_t count;
    size_t size; /* of a record */
    int64_t (*worth)(const void *record);
};

static const struct conf *conf;
static size_t most;

/* --- records --- */

static uint64_t key_of(const void *record)
{
    uint64_t key;
    memcpy(&key, record, sizeof(key));
    return key;
}

/* Index of the least valuable of a few random records. Finding the least of all would take too
 * long, and a few always include one of little value. */
static size_t find_least(const struct shelf *s)
{
    size_t least = random_u64() % s->count;
    for (int i = 1; i < LOOKED_AT; i++) {
        size_t other = random_u64() % s->count;
        if (s->worth(s->all[other]) < s->worth(s->all[least]))
            least = other;
    }
    return least;
}

static void *get(struct shelf *s, uint64_t key)
{
    void *record = map_get(&s->by_key, key);
    if (record)
        return record;
    size_t at = s->count;
    if (s->count < most) {
        s->count++;
        record = xcalloc(1, s->size);
    } else {
        at = find_least(s);
        record = map_remove(&s->by_key, key_of(s->all[at]));
        memset(record, 0, s->size);
    }
    memcpy(record, &key, sizeof(key));
    s->all[at] = record;
    map_put(&s->by_key, key, record);
    return record;
}

static void shelf_init(struct shelf *s)
{
    s->all = xcalloc(most, sizeof(*s->all));
}

static void shelf_free(struct shelf *s)
{
    for (size_t i = 0; i < s->count; i++)
        free(s->all[i]);
    free(s->all);
    map_free(&s->by_key);
    s->all = NULL;
    s->count = 0;
}

/* --- accounts --- */

static int64_t count_failures(const struct failures *f, int64_t now)
{
    return f->gone_at > now ? (f->gone_at - now + FORGET_MS - 1) / FORGET_MS : 0;
}

static void add_failure(struct failures *f, int64_t now)
{
    int64_t before = f->gone_at > now ? f->gone_at : now;
    if (count_failures(f, now) < FAILURES_MOST)
        f->gone_at = before + FORGET_MS;
}

/* Known addresses outweigh all failures. */
static int64_t account_worth(const void *record)
{
    const struct account *a = record;
    int64_t used = 0;
    for (int i = 0; i < KNOWN; i++)
        if (a->known[i].used > used)
            used = a->known[i].used;
    return used ? INT64_MAX / 2 + used : a->strangers.gone_at;
}

static struct shelf accounts = {.size = sizeof(struct account), .worth = account_worth};

static struct known *find_known(struct account *a, uint64_t address)
{
    for (int i = 0; a && i < KNOWN; i++)
        if (a->known[i].used && a->known[i].address == address)
            return &a->known[i];
    return NULL;
}

/* Where to store one more known address: over the least recently used. */
static struct known *oldest_known(struct account *a)
{
    struct known *oldest = &a->known[0];
    for (int i = 1; i < KNOWN; i++)
        if (a->known[i].used < oldest->used)
            oldest = &a->known[i];
    return oldest;
}

/* A polynomial of the name's bytes modulo the prime 2^61 - 1, at a secret point: whoever chooses
 * names cannot find two with the same number. */
uint64_t limits_account(const char *name, size_t n)
{
    __extension__ typedef unsigned __int128 wide;
    const uint64_t prime = (1ULL << 61) - 1;
    static uint64_t point;
    if (!point)
        point = random_u64() % (prime - 256) + 256;
    uint64_t h = n + 1;
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)name[i];
        if (c >= 'A' && c <= 'Z')
            c = (unsigned char)(c + 'a' - 'A');
        h = (uint64_t)(((wide)h * point + c) % prime);
    }
    return h;
}

bool limits_known(uint64_t account, uint64_t address)
{
    return find_known(map_get(&accounts.by_key, account), address) != NULL;
}

int64_t limits_delay(uint64_t account, uint64_t address, int64_t now)
{
    struct account *a = map_get(&accounts.by_key, account);
    struct known *k = find_known(a, address);
    int64_t failures = a ? count_failures(k ? &k->failures : &a->strangers, now) : 0;
    if (failures == 0)
        return 0;
    int64_t ms = (int64_t)FIRST_DELAY_MS << (failures - 1);
    return ms < conf->login_delay ? ms : conf->login_delay;
}

void limits_failed(uint64_t account, uint64_t address, int64_t now)
{
    struct account *a = get(&accounts, account);
    struct known *k = find_known(a, address);
    add_failure(k ? &k->failures : &a->strangers, now);
}

void limits_succeeded(uint64_t account, uint64_t address, int64_t now)
{
    struct account *a = get(&accounts, account);
    struct known *k = find_known(a, address);
    if (!k)
        k = oldest_known(a);
    *k = (struct known){.address = address, .used = now > 0 ? now : 1};
}

/* --- addresses --- */

static int64_t address_worth(const void *record)
{
    const struct address *a = record;
    int64_t one = a->failures.full_at, other = a->registrations.full_at;
    return one > other ? one : other;
}

static struct shelf addresses = {.size = sizeof(struct address), .worth = address_worth};

static struct bucket_rate failure_rate(void)
{
    return (struct bucket_rate){conf->login_failures, HOUR_MS};
}

bool limits_take_failure(uint64_t address, int64_t now)
{
    if (!address || !conf->login_failures)
        return true;
    struct address *a = get(&addresses, address);
    return bucket_take(&a->failures, failure_rate(), now, 1);
}

void limits_return_failure(uint64_t address)
{
    struct address *a = address ? map_get(&addresses.by_key, address) : NULL;
    if (a)
        bucket_return(&a->failures, failure_rate(), 1);
}

bool limits_register(uint64_t address, int64_t now)
{
    if (!address || !conf->register_rate)
        return true;
    struct address *a = get(&addresses, address);
    return bucket_take(&a->registrations, (struct bucket_rate){conf->register_rate, HOUR_MS}, now,
                       1);
}

/* --- users who type, block, or change groups --- */

struct user {
    uint64_t key;
    struct bucket typing, blocks, groups;
};

static int64_t user_worth(const void *record)
{
    const struct user *u = record;
    int64_t worth = u->typing.full_at > u->blocks.full_at ? u->typing.full_at : u->blocks.full_at;
    return worth > u->groups.full_at ? worth : u->groups.full_at;
}

static struct shelf users = {.size = sizeof(struct user), .worth = user_worth};

bool limits_typing(int64_t user, int64_t now)
{
    struct bucket_rate rate = {conf->typing_rate, 1000};
    struct user *u = rate.count ? get(&users, (uint64_t)user) : NULL;
    return u && bucket_take(&u->typing, rate, now, 1);
}

bool limits_block(int64_t user, int64_t now)
{
    struct user *u = get(&users, (uint64_t)user);
    return bucket_take(&u->blocks, (struct bucket_rate){BLOCKS_A_MINUTE, MINUTE_MS}, now, 1);
}

bool limits_group(int64_t user, int64_t now, size_t cost)
{
    struct user *u = get(&users, (uint64_t)user);
    return bucket_take(&u->groups, (struct bucket_rate){GROUPS_A_MINUTE, MINUTE_MS}, now,
                       (int64_t)cost);
}

void limits_init(const struct conf *the_conf, size_t records)
{
    conf = the_conf;
    most = records;
    shelf_init(&accounts);
    shelf_init(&addresses);
    shelf_init(&users);
}

void limits_free(void)
{
    shelf_free(&accounts);
    shelf_free(&addresses);
    shelf_free(&users);
}

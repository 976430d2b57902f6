/* Who is in which group; see groups.h. */
#include "groups.h"

#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "log.h"
#include "map.h"
#include "pool.h"
#include "position.h"

enum { USERS_AT_ONCE = 50 }; /* in a statement */

enum knowledge {
    OPENING, /* no session has its row yet */
    WANTED,  /* the groups are to be read */
    READING,
    KNOWN,
};

struct user {
    int64_t id;
    enum knowledge knowledge;
    bool disturbed;    /* a membership changed while it was not known */
    struct buf groups; /* int64_t ids */
};

struct group {
    int64_t id;
    struct buf members; /* struct group_member */
};

static struct map users, groups;
static struct buf wanted; /* int64_t ids of users whose groups are to be read */
static struct buf asked;  /* the same, while they are being read */
static bool reading;
static void (*report_ready)(int64_t user);

void groups_init(void (*ready)(int64_t user))
{
    report_ready = ready;
}

static struct user *user_of(int64_t id)
{
    return map_get(&users, (uint64_t)id);
}

/* --- members --- */

static struct group_member *member_of(const struct group *g, int64_t user)
{
    struct group_member *m = (struct group_member *)buf_head(&g->members);
    for (size_t n = buf_len(&g->members) / sizeof(*m); n > 0; n--, m++)
        if (m->user == user)
            return m;
    return NULL;
}

static struct group *group_make(int64_t id)
{
    struct group *g = map_get(&groups, (uint64_t)id);
    if (!g) {
        g = xcalloc(1, sizeof(*g));
        g->id = id;
        map_put(&groups, (uint64_t)id, g);
    }
    return g;
}

static void join(struct user *u, int64_t group, uint64_t since, uint64_t joined)
{
    struct group *g = group_make(group);
    struct group_member *m = member_of(g, u->id);
    if (m) {
        m->since = since;
        m->joined = joined;
        return;
    }
    struct group_member new = {u->id, since, joined};
    buf_append(&g->members, &new, sizeof(new));
    buf_append(&u->groups, &group, sizeof(group));
}

static void drop_member(int64_t group, int64_t user)
{
    struct group *g = map_get(&groups, (uint64_t)group);
    struct group_member *m = g ? member_of(g, user) : NULL;
    if (!m)
        return;
    size_t last = buf_len(&g->members) - sizeof(*m);
    memmove(m, buf_head(&g->members) + last, sizeof(*m));
    buf_truncate(&g->members, last);
    if (last > 0)
        return;
    map_remove(&groups, (uint64_t)group);
    buf_free(&g->members);
    free(g);
}

static void leave(struct user *u, int64_t group)
{
    size_t size = buf_len(&u->groups);
    for (size_t at = 0; at < size; at += sizeof(group)) {
        uint8_t *id = buf_head(&u->groups) + at;
        if (memcmp(id, &group, sizeof(group)) != 0)
            continue;
        memmove(id, buf_head(&u->groups) + size - sizeof(group), sizeof(group));
        buf_truncate(&u->groups, size - sizeof(group));
        drop_member(group, u->id);
        return;
    }
}

static void leave_all(struct user *u)
{
    for (; buf_len(&u->groups) > 0; buf_consume(&u->groups, sizeof(int64_t))) {
        int64_t group;
        memcpy(&group, buf_head(&u->groups), sizeof(group));
        drop_member(group, u->id);
    }
    buf_free(&u->groups);
}

size_t groups_members(int64_t group, const struct group_member **members)
{
    const struct group *g = map_get(&groups, (uint64_t)group);
    *members = g ? (const struct group_member *)buf_head(&g->members) : NULL;
    return g ? buf_len(&g->members) / sizeof(**members) : 0;
}

size_t groups_count(int64_t group)
{
    const struct group_member *members;
    return groups_members(group, &members);
}

/* --- users --- */

void groups_add(int64_t user)
{
    struct user *u = xcalloc(1, sizeof(*u));
    u->id = user;
    map_put(&users, (uint64_t)user, u);
}

void groups_remove(int64_t user)
{
    struct user *u = map_remove(&users, (uint64_t)user);
    leave_all(u);
    free(u);
}

bool groups_known(int64_t user)
{
    return user_of(user)->knowledge == KNOWN;
}

/* --- reading them --- */

static void read_wanted(void);

/* Its groups, for the users who are still there and whose memberships did not change meanwhile. One
 * that has ended counts until this host is past the change that ended it. */
static void take_row(const PGresult *result, int row)
{
    struct user *u = user_of(db_int(result, row, 0));
    if (!u || u->knowledge != READING || u->disturbed || db_is_null(result, row, 1))
        return;
    if (db_is_null(result, row, 3) || (uint64_t)db_int(result, row, 3) > position().change)
        join(u, db_int(result, row, 1), (uint64_t)db_int(result, row, 2),
             (uint64_t)db_int(result, row, 4));
}

static void want(struct user *u)
{
    u->knowledge = WANTED;
    u->disturbed = false;
    buf_append(&wanted, &u->id, sizeof(u->id));
}

static void settle(struct user *u, bool ok)
{
    if (u->knowledge != READING)
        return; /* it has gone and come again */
    if (!ok || u->disturbed) {
        want(u);
    } else {
        u->knowledge = KNOWN;
        report_ready(u->id);
    }
}

/* Takes the first id. */
static struct user *take_user(struct buf *ids)
{
    int64_t id;
    memcpy(&id, buf_head(ids), sizeof(id));
    buf_consume(ids, sizeof(id));
    return user_of(id);
}

static void on_read(void *arg, const PGresult *result)
{
    (void)arg;
    bool ok = db_ok(result);
    for (int i = 0; ok && i < PQntuples(result); i++)
        take_row(result, i);
    reading = false;
    struct buf done = asked;
    asked = (struct buf){0};
    while (buf_len(&done) > 0) {
        struct user *u = take_user(&done);
        if (u)
            settle(u, ok);
    }
    buf_free(&done);
    if (ok)
        read_wanted();
}

static void read_wanted(void)
{
    while (!reading && buf_len(&wanted) > 0 && buf_len(&asked) < USERS_AT_ONCE * sizeof(int64_t)) {
        struct user *u = take_user(&wanted);
        if (!u || u->knowledge != WANTED)
            continue;
        u->knowledge = READING;
        buf_append(&asked, &u->id, sizeof(u->id));
    }
    if (reading || buf_len(&asked) == 0)
        return;
    reading = true;
    struct db_params params = {0};
    db_param_ids(&params, &asked);
    db_param_int8(&params, (int64_t)position().change);
    pool_run(NULL, STATEMENT_GROUP_LIST, &params, on_read, NULL);
}

bool groups_opened(int64_t user, bool grouped)
{
    struct user *u = user_of(user);
    if (u->knowledge == OPENING && (grouped || u->disturbed))
        want(u);
    else if (u->knowledge == OPENING)
        u->knowledge = KNOWN;
    read_wanted();
    return u->knowledge == KNOWN;
}

void groups_retry(void)
{
    read_wanted();
}

void groups_forget(void)
{
    struct user *u;
    for (size_t at = 0; (u = map_next(&users, &at));) {
        leave_all(u);
        if (u->knowledge == KNOWN)
            want(u);
        else
            u->disturbed = true;
    }
}

static bool joined_behind(const struct user *u, int64_t group, uint64_t place)
{
    const struct group *g = map_get(&groups, (uint64_t)group);
    const struct group_member *m = g ? member_of(g, u->id) : NULL;
    return m && m->joined > place;
}

static void leave_later(struct user *u, uint64_t place)
{
    for (size_t at = 0; at < buf_len(&u->groups);) {
        int64_t group;
        memcpy(&group, buf_head(&u->groups) + at, sizeof(group));
        if (joined_behind(u, group, place))
            leave(u, group); /* another one is there now */
        else
            at += sizeof(group);
    }
}

void groups_attached(void)
{
    struct user *u;
    for (size_t at = 0; (u = map_next(&users, &at));)
        leave_later(u, position().change);
}

/* --- changes of memberships --- */

/* The user, if what is known has to follow; otherwise it is read once more. */
static struct user *follower(int64_t id)
{
    struct user *u = user_of(id);
    if (u && u->knowledge != KNOWN)
        u->disturbed = true;
    return u && u->knowledge == KNOWN ? u : NULL;
}

void groups_before(const struct event *e)
{
    for (size_t i = 0; e->membership == MEMBERS_COME && i < e->named_count; i++) {
        struct user *u = follower(e->named[i]);
        if (u)
            join(u, e->group, e->since, e->cursor.change);
    }
}

void groups_after(const struct event *e)
{
    for (size_t i = 0; e->membership == MEMBERS_GO && i < e->named_count; i++) {
        struct user *u = follower(e->named[i]);
        if (u)
            leave(u, e->group);
    }
}

void groups_free(void)
{
    struct user *u;
    for (size_t at = 0; (u = map_next(&users, &at));) {
        leave_all(u);
        free(u);
    }
    map_free(&users);
    map_free(&groups);
    buf_free(&wanted);
    buf_free(&asked);
}

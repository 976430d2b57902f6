/* The peers of each user; see attached.h. */
#include "attached.h"

#include "groups.h"
#include "map.h"

static struct map users; /* user id -> its first peer */

void attached_add(struct peer *p)
{
    p->feed.same_user = attached_first(p->user);
    if (!p->feed.same_user)
        groups_add(p->user);
    map_put(&users, (uint64_t)p->user, p);
}

static void remove_first(struct peer *p)
{
    if (p->feed.same_user) {
        map_put(&users, (uint64_t)p->user, p->feed.same_user);
    } else {
        map_remove(&users, (uint64_t)p->user);
        groups_remove(p->user);
    }
}

void attached_remove(struct peer *p)
{
    struct peer *before = attached_first(p->user);
    if (before == p) {
        remove_first(p);
        return;
    }
    while (before && before->feed.same_user != p)
        before = before->feed.same_user;
    if (before)
        before->feed.same_user = p->feed.same_user;
}

struct peer *attached_first(int64_t user)
{
    return map_get(&users, (uint64_t)user);
}

struct peer *attached_next(size_t *at)
{
    return map_next(&users, at);
}

static bool has_other(int64_t user, uint64_t origin)
{
    for (struct peer *p = attached_first(user); p; p = p->feed.same_user)
        if (p->origin != origin)
            return true;
    return false;
}

bool attached_awaits(int64_t sender, uint64_t origin, int64_t receiver)
{
    return attached_first(receiver) || has_other(sender, origin);
}

bool attached_group_awaits(int64_t sender, uint64_t origin, int64_t group)
{
    const struct group_member *members;
    size_t n = groups_members(group, &members);
    return n > 1 || (n == 1 && members->user != sender) || has_other(sender, origin);
}

size_t attached_cost(size_t copies, size_t size)
{
    enum {
        COPY_COST = 256,  /* beside the content */
        FEW = 8,          /* copies; the processes that get more wait for each other */
        CROWD_COST = 768, /* of each beyond */
    };
    size_t beyond = copies > FEW ? copies - FEW : 0;
    return copies * (COPY_COST + size) + beyond * CROWD_COST;
}

size_t attached_cost_more(size_t copies, size_t size)
{
    enum { FRAME_COST = 64 }; /* beside the content */
    return copies * (FRAME_COST + size);
}

void attached_free(void)
{
    map_free(&users);
}

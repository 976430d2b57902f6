/* Conversations; see rest_conversations.h. */
#include "rest_conversations.h"

#include "json.h"
#include "rest_body.h"
#include "rest_target.h"

enum { DEFAULT_CONVERSATIONS = 50 };

/* --- GET --- */

static void ask_list(struct exchange *x, uint64_t before, uint64_t limit)
{
    size_t begin = ask_begin(x->ask, IPC_CONVERSATIONS);
    ipc_put_u64(&x->ask->channel.out, before);
    ipc_put_u32(&x->ask->channel.out, (uint32_t)limit);
    rest_forward_reply(x, begin);
}

void rest_conversations(struct exchange *x)
{
    uint64_t before = IPC_NO_BOUND, limit = DEFAULT_CONVERSATIONS;
    const struct bound bounds[] = {
        {"before", &before, 1, INT64_MAX, "\"before\" must be the \"next\" of an earlier page"},
        {"limit", &limit, 1, IPC_MAX_CONVERSATIONS, "\"limit\" must be a number from 1 to 100"},
    };
    if (!exchange_authenticated(x))
        return;
    const char *wrong = rest_read_bounds(x, bounds, sizeof(bounds) / sizeof(bounds[0]));
    if (wrong)
        exchange_error(x, 400, wrong);
    else
        ask_list(x, before, limit);
}

/* The conversation that the path names; false when what is wrong was answered. */
static bool take_conversation(struct exchange *x, uint64_t *id)
{
    const char *wrong = rest_path_named(x, id);
    if (wrong)
        exchange_error(x, 400, wrong);
    return !wrong;
}

void rest_conversation(struct exchange *x)
{
    uint64_t id;
    if (!exchange_authenticated(x) || !take_conversation(x, &id))
        return;
    size_t begin = ask_begin(x->ask, IPC_CONVERSATION);
    ipc_put_u64(&x->ask->channel.out, id);
    rest_forward_reply(x, begin);
}

/* --- POST, PATCH --- */

static const char *const name_error =
    "\"name\" must be a string of 1 to 64 characters, without control characters and without a "
    "space at either end";

/* What a group is to be, and which of it a request says: a set of IPC_CHANGES_GROUP_*. */
struct group {
    unsigned what;
    struct text name;
    bool full_history;
    int64_t members[IPC_MAX_MEMBERS];
    size_t member_count;
};

/* NULL, or what is wrong. */
static const char *read_name(struct json_object *object, struct group *g)
{
    enum json_get got = json_get_text(object, "name", &g->name);
    if (got == JSON_ABSENT)
        return NULL;
    g->what |= IPC_CHANGES_GROUP_NAME;
    return got == JSON_OK && rest_name_fits(g->name) ? NULL : name_error;
}

static const char *read_history(struct json_object *object, struct group *g)
{
    struct text t = {0};
    enum json_get got = json_get_text(object, "history", &t);
    if (got == JSON_ABSENT)
        return NULL;
    g->what |= IPC_CHANGES_GROUP_HISTORY;
    g->full_history = got == JSON_OK && http_text_is(t, "all");
    if (g->full_history || (got == JSON_OK && http_text_is(t, "joined")))
        return NULL;
    return "\"history\" must be \"all\" or \"joined\": what new members see";
}

static const char *read_members(struct json_object *object, struct group *g)
{
    if (json_get_ids(object, "members", g->members, IPC_MAX_MEMBERS, &g->member_count) ==
        JSON_WRONG_TYPE)
        return "\"members\" must be an array of at most 1000 user ids, whole numbers above zero";
    return NULL;
}

static void ask_direct(struct exchange *x, int64_t user)
{
    size_t begin = ask_begin(x->ask, IPC_DIRECT);
    ipc_put_u64(&x->ask->channel.out, (uint64_t)user);
    rest_forward_reply(x, begin);
}

static void ask_group(struct exchange *x, const struct group *g)
{
    struct buf *out = &x->ask->channel.out;
    size_t begin = ask_begin(x->ask, IPC_GROUP);
    ipc_put_u8(out, g->full_history);
    ipc_put_text(out, g->name.p, g->name.n);
    ipc_put_text(out, (const char *)g->members, g->member_count * sizeof(g->members[0]));
    rest_forward_reply(x, begin);
}

static void make_group(struct exchange *x, struct json_object *object)
{
    struct group g = {0};
    const char *wrong = read_name(object, &g);
    if (!wrong)
        wrong = read_history(object, &g);
    if (!wrong)
        wrong = read_members(object, &g);
    if (!wrong && !(g.what & IPC_CHANGES_GROUP_NAME))
        wrong = "Send \"name\" for a group, or \"user_id\" for the conversation with one user";
    if (wrong)
        exchange_error(x, 400, wrong);
    else
        ask_group(x, &g);
}

static void make_with(struct exchange *x, struct json_object *object)
{
    int64_t user;
    enum json_get got = json_get_id(object, "user_id", &user);
    if (got == JSON_ABSENT)
        make_group(x, object);
    else if (got == JSON_OK)
        ask_direct(x, user);
    else
        exchange_error(x, 400, "\"user_id\" must be a user id, a whole number above zero");
}

void rest_make_conversation(struct exchange *x)
{
    if (exchange_authenticated(x))
        rest_with_body(x, make_with);
}

static void ask_group_change(struct exchange *x, uint64_t id, const struct group *g)
{
    struct buf *out = &x->ask->channel.out;
    size_t begin = ask_begin(x->ask, IPC_GROUP_CHANGE);
    ipc_put_u64(out, id);
    ipc_put_u8(out, (uint8_t)g->what);
    ipc_put_u8(out, g->full_history);
    ipc_put_text(out, g->name.p, g->name.n);
    rest_forward_reply(x, begin);
}

static void change_with(struct exchange *x, struct json_object *object)
{
    struct group g = {0};
    uint64_t id;
    if (!take_conversation(x, &id))
        return;
    const char *wrong = read_name(object, &g);
    if (!wrong)
        wrong = read_history(object, &g);
    if (!wrong && !g.what)
        wrong = "There is nothing to change: send \"name\" or \"history\"";
    if (wrong)
        exchange_error(x, 400, wrong);
    else
        ask_group_change(x, id, &g);
}

void rest_change_conversation(struct exchange *x)
{
    if (exchange_authenticated(x))
        rest_with_body(x, change_with);
}

/* --- members --- */

static void ask_member(struct exchange *x, const uint64_t ids[2], enum ipc_member what,
                       enum ipc_member_role role)
{
    struct buf *out = &x->ask->channel.out;
    size_t begin = ask_begin(x->ask, IPC_MEMBER);
    ipc_put_u64(out, ids[0]);
    ipc_put_u64(out, ids[1]);
    ipc_put_u8(out, (uint8_t)what);
    ipc_put_u8(out, (uint8_t)role);
    rest_forward_reply(x, begin);
}

/* False: there is no such role. */
static bool read_role(struct json_object *object, enum ipc_member_role most,
                      enum ipc_member_role *role)
{
    static const char *const roles[] = {
        [IPC_IS_MEMBER] = "member", [IPC_IS_ADMIN] = "admin", [IPC_IS_OWNER] = "owner"};
    struct text t;
    if (json_get_text(object, "role", &t) != JSON_OK)
        return false;
    for (*role = IPC_IS_MEMBER; *role <= most; ++*role)
        if (http_text_is(t, roles[*role]))
            return true;
    return false;
}

static void add_with(struct exchange *x, struct json_object *object)
{
    uint64_t ids[2];
    int64_t user;
    enum ipc_member_role role = IPC_IS_MEMBER;
    struct text t;
    if (!take_conversation(x, &ids[0]))
        return;
    if (json_get_id(object, "user_id", &user) != JSON_OK) {
        exchange_error(x, 400, "\"user_id\" must be a user id, a whole number above zero");
    } else if (json_get_text(object, "role", &t) != JSON_ABSENT &&
               !read_role(object, IPC_IS_ADMIN, &role)) {
        exchange_error(x, 400, "\"role\" must be \"member\" or \"admin\"");
    } else {
        ids[1] = (uint64_t)user;
        ask_member(x, ids, IPC_MEMBER_ADD, role);
    }
}

void rest_add_member(struct exchange *x)
{
    if (exchange_authenticated(x))
        rest_with_body(x, add_with);
}

/* The conversation and the member that the path names; false when what is wrong was answered. */
static bool take_member(struct exchange *x, uint64_t ids[2])
{
    if (!take_conversation(x, &ids[0]))
        return false;
    if (rest_path_id(x, 3, &ids[1]))
        return true;
    exchange_error(x, 400, "The user's id in the path must be a whole number above zero");
    return false;
}

static void change_role_with(struct exchange *x, struct json_object *object)
{
    uint64_t ids[2];
    enum ipc_member_role role;
    if (!take_member(x, ids))
        return;
    if (read_role(object, IPC_IS_OWNER, &role))
        ask_member(x, ids, IPC_MEMBER_CHANGE, role);
    else
        exchange_error(x, 400, "\"role\" must be \"member\", \"admin\" or \"owner\"");
}

void rest_change_member(struct exchange *x)
{
    if (exchange_authenticated(x))
        rest_with_body(x, change_role_with);
}

void rest_remove_member(struct exchange *x)
{
    uint64_t ids[2];
    if (exchange_authenticated(x) && take_member(x, ids))
        ask_member(x, ids, IPC_MEMBER_REMOVE, IPC_IS_MEMBER);
}

/* --- PUT --- */

static void read_with(struct exchange *x, struct json_object *object)
{
    uint64_t conversation;
    int64_t message;
    if (!take_conversation(x, &conversation))
        return;
    if (json_get_id(object, "message_id", &message) != JSON_OK) {
        exchange_error(x, 400, "\"message_id\" must be a message's id, a whole number above zero");
        return;
    }
    size_t begin = ask_begin(x->ask, IPC_RECEIPT);
    ipc_put_u64(&x->ask->channel.out, conversation);
    ipc_put_u64(&x->ask->channel.out, (uint64_t)message);
    ipc_put_u8(&x->ask->channel.out, true);
    rest_forward_reply(x, begin);
}

void rest_read(struct exchange *x)
{
    if (exchange_authenticated(x))
        rest_with_body(x, read_with);
}

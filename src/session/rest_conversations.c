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

static void ask_about(struct exchange *x, enum ipc_type type)
{
    uint64_t id;
    if (!exchange_authenticated(x) || !take_conversation(x, &id))
        return;
    size_t begin = ask_begin(x->ask, type);
    ipc_put_u64(&x->ask->channel.out, id);
    rest_forward_reply(x, begin);
}

void rest_conversation(struct exchange *x)
{
    ask_about(x, IPC_CONVERSATION);
}

void rest_members(struct exchange *x)
{
    ask_about(x, IPC_MEMBERS);
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

/* Messages, and changes of them; see rest_messages.h. */
#include "rest_messages.h"

#include <json-c/json.h>
#include <stdio.h>

#include "chat_frame.h"
#include "clock.h"
#include "emoji.h"
#include "json.h"
#include "random.h"
#include "rest_body.h"
#include "rest_target.h"
#include "utf8.h"

/* A request, and its answer. */
typedef enum ipc_error asking(struct exchange *x, void *what, bool again);

/* A broker that dies meanwhile takes nothing with it: the next one is asked again. */
static enum ipc_error ask_until_answered(struct exchange *x, asking *ask, void *what)
{
    int64_t deadline = clock_ms() + x->conf->request_timeout;
    struct text token = exchange_bearer(x);
    enum ipc_error error = ask(x, what, false);
    while (ask_again(x->ask, error, deadline)) {
        error = ask_authenticate(x->ask, token.p, token.n);
        if (!error)
            error = ask(x, what, true);
    }
    return error;
}

/* Answers what is wrong with the request. */
static void refuse(struct exchange *x, struct text content, const char *wrong)
{
    exchange_error(x, content.n > x->conf->max_content ? 413 : 400, wrong);
}

/* --- POST /messages, /conversations/:id/messages --- */

enum { MAX_KEY = IPC_MAX_ID };

struct message {
    char made_up[32];
    struct text id; /* the client's, or made_up */
    struct text content;
    enum ipc_named which;
    uint64_t named;   /* the receiver, or the conversation */
    int64_t reply_to; /* 0: it answers no message */
    struct ipc_message answer;
};

/* The key, or one that nobody's other message has. NULL, or what is wrong. */
static const char *read_key(const struct exchange *x, struct message *m)
{
    const struct text *key = http_request_field(&x->request, "Idempotency-Key");
    if (key && (key->n < 1 || key->n > MAX_KEY))
        return "The field Idempotency-Key must have 1 to 64 bytes";
    if (key && !utf8_valid((const uint8_t *)key->p, key->n))
        return "The field Idempotency-Key must be UTF-8";
    if (!key)
        random_hex(m->made_up, sizeof(m->made_up) / 2);
    m->id = key ? *key : (struct text){m->made_up, sizeof(m->made_up)};
    return NULL;
}

static const char *read_addressee(const struct exchange *x, struct json_object *object,
                                  struct message *m)
{
    int64_t receiver;
    if (m->which == IPC_NAMES_CONVERSATION)
        return rest_path_named(x, &m->named);
    if (json_get_id(object, "receiver_id", &receiver) != JSON_OK)
        return "\"receiver_id\" must be a user id, a whole number above zero";
    m->named = (uint64_t)receiver;
    return NULL;
}

static const char *read_message(const struct exchange *x, struct json_object *object,
                                struct message *m)
{
    const char *wrong = read_key(x, m);
    if (wrong)
        return wrong;
    if (json_get_text(object, "content", &m->content) != JSON_OK)
        return "\"content\" must be a string";
    if (json_get_id(object, "reply_to", &m->reply_to) == JSON_WRONG_TYPE)
        return "\"reply_to\" must be a message's id, a whole number above zero";
    wrong = read_addressee(x, object, m);
    return wrong ? wrong : chat_content_error(m->content.n, x->conf->max_content);
}

/* Again: under the same id. */
static enum ipc_error ask_send(struct exchange *x, void *what, bool again)
{
    struct message *m = what;
    struct buf *out = &x->ask->channel.out;
    size_t begin = ask_begin(x->ask, IPC_SEND);
    ipc_put_u64(out, m->named);
    ipc_put_u8(out, (uint8_t)m->which);
    ipc_put_text(out, m->id.p, m->id.n);
    ipc_put_text(out, m->content.p, m->content.n);
    ipc_put_u64(out, (uint64_t)m->reply_to);
    ipc_put_u8(out, again);
    return ask_end(x->ask, begin, IPC_SENT, &m->answer);
}

static void send_to(struct exchange *x, struct json_object *object, enum ipc_named which)
{
    struct message m = {.which = which};
    const char *wrong = read_message(x, object, &m);
    if (wrong) {
        refuse(x, m.content, wrong);
        return;
    }
    enum ipc_error error = ask_until_answered(x, ask_send, &m);
    if (error) {
        exchange_failure(x, error);
        return;
    }
    struct ipc_reader r = ipc_read(&m.answer);
    uint64_t message = ipc_get_u64(&r);
    bool duplicate = ipc_get_u8(&r) != 0;
    char json[80];
    int n = snprintf(json, sizeof(json), "{\"message_id\":%llu,\"duplicate\":%s}",
                     (unsigned long long)message, duplicate ? "true" : "false");
    exchange_reply(x, duplicate ? 200 : 201, json, (size_t)n);
}

static void send_to_user(struct exchange *x, struct json_object *object)
{
    send_to(x, object, IPC_NAMES_USER);
}

static void send_to_conversation(struct exchange *x, struct json_object *object)
{
    send_to(x, object, IPC_NAMES_CONVERSATION);
}

void rest_send(struct exchange *x)
{
    if (exchange_authenticated(x))
        rest_with_body(x, send_to_user);
}

void rest_send_there(struct exchange *x)
{
    if (exchange_authenticated(x))
        rest_with_body(x, send_to_conversation);
}

/* --- PATCH, DELETE /conversations/:id/messages/:messageId, PUT, DELETE its reactions --- */

struct change {
    uint64_t conversation, message;
    enum ipc_type request;
    bool deletes;
    struct text content; /* or the emoji */
    struct rest_reply answer;
};

static enum ipc_error ask_change(struct exchange *x, void *what, bool again)
{
    (void)again; /* it does no harm */
    struct change *c = what;
    struct buf *out = &x->ask->channel.out;
    size_t begin = ask_begin(x->ask, c->request);
    ipc_put_u64(out, c->conversation);
    ipc_put_u64(out, c->message);
    ipc_put_u8(out, c->deletes);
    ipc_put_text(out, c->content.p, c->content.n);
    return rest_take_reply(x, begin, &c->answer);
}

static const char *read_place(const struct exchange *x, struct change *c)
{
    if (!rest_path_id(x, 1, &c->conversation))
        return "The conversation's id in the path must be a whole number above zero";
    if (!rest_path_id(x, 3, &c->message))
        return "The message's id in the path must be a whole number above zero";
    return NULL;
}

static void change(struct exchange *x, struct change *c, const char *wrong)
{
    if (!wrong)
        wrong = read_place(x, c);
    if (wrong) {
        refuse(x, c->content, wrong);
        return;
    }
    enum ipc_error error = ask_until_answered(x, ask_change, c);
    if (error)
        exchange_failure(x, error);
    else
        rest_pass_on(x, &c->answer);
}

static void edit_with(struct exchange *x, struct json_object *object)
{
    struct change c = {.request = IPC_EDIT};
    const char *wrong = json_get_text(object, "content", &c.content) == JSON_OK
                            ? chat_content_error(c.content.n, x->conf->max_content)
                            : "\"content\" must be a string";
    change(x, &c, wrong);
}

void rest_edit(struct exchange *x)
{
    if (exchange_authenticated(x))
        rest_with_body(x, edit_with);
}

void rest_delete(struct exchange *x)
{
    struct change c = {.request = IPC_EDIT, .deletes = true};
    if (exchange_authenticated(x))
        change(x, &c, NULL);
}

static void react(struct exchange *x, bool removes)
{
    char emoji[EMOJI_MAX + 1]; /* one more: that is too long */
    struct change c = {.request = IPC_REACT, .deletes = removes, .content = {emoji, 0}};
    if (!exchange_authenticated(x))
        return;
    c.content.n = rest_path_text(x, 5, emoji, sizeof(emoji));
    change(x, &c,
           emoji_fits(c.content) ? NULL
                                 : "The emoji in the path must be UTF-8 of 1 to 32 bytes, without "
                                   "spaces and control characters, and percent-encoded");
}

void rest_react(struct exchange *x)
{
    react(x, false);
}

void rest_unreact(struct exchange *x)
{
    react(x, true);
}

/* Accounts; see rest_accounts.h. */
#include "rest_accounts.h"

#include <stdio.h>
#include <string.h>

#include "email.h"
#include "json.h"
#include "rest_body.h"
#include "rest_target.h"
#include "username.h"
#include "utf8.h"

enum { MAX_PASSWORD = 72 };

static const char *username_error(struct text t)
{
    bool good = t.n >= 1 && t.n <= USERNAME_MAX;
    for (size_t i = 0; good && i < t.n; i++)
        good = t.p[i] && strchr(USERNAME_CHARS, t.p[i]);
    return good ? NULL
                : "\"username\" must be 1 to 32 letters, digits, dots, underscores or hyphens";
}

static const char *email_error(struct text t)
{
    return email_fits(t.p, t.n)
               ? NULL
               : "\"email\" must be an address such as name@example.com, at most 254 bytes";
}

static bool password_acceptable(struct exchange *x, const struct field *f, int least)
{
    char text[96];
    if (f->text.n > MAX_PASSWORD)
        snprintf(text, sizeof(text), "\"%s\" must have at most 72 bytes: bcrypt reads no more",
                 f->name);
    else if (f->text.n < (size_t)least)
        snprintf(text, sizeof(text), "\"%s\" must have at least %d bytes", f->name, least);
    else
        return true;
    exchange_error(x, 400, text);
    return false;
}

static void put_text(struct exchange *x, struct text t)
{
    ipc_put_text(&x->ask->channel.out, t.p, t.n);
}

/* True if the broker can be asked; otherwise that was answered. */
static bool broker_there(struct exchange *x)
{
    enum ipc_error error = ask_require(x->ask);
    if (error)
        exchange_failure(x, error);
    return !error;
}

static void register_with(struct exchange *x, struct json_object *object)
{
    struct field f[] = {{.name = "username"}, {.name = "email"}, {.name = "password"}};
    if (!rest_take_fields(x, object, f, 3))
        return;
    const char *wrong = username_error(f[0].text);
    if (!wrong)
        wrong = email_error(f[1].text);
    if (wrong) {
        exchange_error(x, 400, wrong);
        return;
    }
    if (!password_acceptable(x, &f[2], x->conf->min_password) || !broker_there(x))
        return;
    size_t begin = ask_begin(x->ask, IPC_REGISTER);
    for (size_t i = 0; i < 3; i++)
        put_text(x, f[i].text);
    rest_forward_reply(x, begin);
}

static void login_with(struct exchange *x, struct json_object *object)
{
    struct field f[] = {{.name = "username"}, {.name = "password"}};
    if (!rest_take_fields(x, object, f, 2) || !password_acceptable(x, &f[1], 0) || !broker_there(x))
        return;
    /* A name that nobody can have is asked for all the same, so that it takes the same time. */
    if (username_error(f[0].text))
        f[0].text = (struct text){"", 0};
    size_t begin = ask_begin(x->ask, IPC_LOGIN);
    put_text(x, f[0].text);
    put_text(x, f[1].text);
    rest_forward_reply(x, begin);
}

void rest_register(struct exchange *x)
{
    rest_with_body(x, register_with);
}

void rest_login(struct exchange *x)
{
    rest_with_body(x, login_with);
}

static void change_password_with(struct exchange *x, struct json_object *object)
{
    struct field f[] = {{.name = "password"}, {.name = "new_password"}};
    if (!rest_take_fields(x, object, f, 2) || !password_acceptable(x, &f[0], 0) ||
        !password_acceptable(x, &f[1], x->conf->min_password))
        return;
    size_t begin = ask_begin(x->ask, IPC_PASSWORD);
    put_text(x, f[0].text);
    put_text(x, f[1].text);
    rest_forward_reply(x, begin);
}

void rest_password(struct exchange *x)
{
    if (exchange_authenticated(x))
        rest_with_body(x, change_password_with);
}

void rest_logout(struct exchange *x)
{
    if (exchange_authenticated(x))
        rest_forward_reply(x, ask_begin(x->ask, IPC_LOGOUT));
}

void rest_me(struct exchange *x)
{
    if (exchange_authenticated(x))
        rest_forward_reply(x, ask_begin(x->ask, IPC_ME));
}

/* --- PATCH /me --- */

struct change {
    unsigned what; /* a set of IPC_CHANGES_* */
    struct text display_name, email, password;
};

/* NULL, or what is wrong. */
static const char *read_display_name(struct json_object *object, struct change *c)
{
    enum json_get got = json_get_text(object, "display_name", &c->display_name);
    if (got == JSON_ABSENT)
        return NULL;
    c->what |= IPC_CHANGES_NAME;
    if (json_is_null(object, "display_name"))
        return NULL;
    if (got != JSON_OK)
        return "\"display_name\" must be a string, or null for none";
    if (!rest_name_fits(c->display_name))
        return "\"display_name\" must have 1 to 64 characters, no control characters, and no space "
               "at either end; null is for none";
    return NULL;
}

/* False when what is wrong was answered. The address takes the password beside it. */
static bool take_email(struct exchange *x, struct json_object *object, struct change *c)
{
    if (json_get_text(object, "email", &c->email) == JSON_ABSENT)
        return true;
    struct field f[] = {{.name = "email"}, {.name = "password"}};
    if (!rest_take_fields(x, object, f, 2) || !password_acceptable(x, &f[1], 0))
        return false;
    c->what |= IPC_CHANGES_EMAIL;
    c->email = f[0].text;
    c->password = f[1].text;
    const char *wrong = email_error(c->email);
    if (wrong)
        exchange_error(x, 400, wrong);
    return !wrong;
}

static void ask_change(struct exchange *x, const struct change *c)
{
    size_t begin = ask_begin(x->ask, IPC_CHANGE_ME);
    ipc_put_u8(&x->ask->channel.out, (uint8_t)c->what);
    put_text(x, c->display_name);
    put_text(x, c->email);
    put_text(x, c->password);
    rest_forward_reply(x, begin);
}

static void change_me_with(struct exchange *x, struct json_object *object)
{
    struct change c = {0};
    const char *wrong = read_display_name(object, &c);
    if (wrong)
        exchange_error(x, 400, wrong);
    else if (!take_email(x, object, &c))
        return;
    else if (!c.what)
        exchange_error(x, 400, "There is nothing to change: send \"display_name\" or \"email\"");
    else
        ask_change(x, &c);
}

void rest_change_me(struct exchange *x)
{
    if (exchange_authenticated(x))
        rest_with_body(x, change_me_with);
}

/* --- PUT and DELETE /users/:id/block --- */

static void ask_block(struct exchange *x, bool blocking)
{
    uint64_t user;
    if (!exchange_authenticated(x))
        return;
    const char *wrong = rest_path_named(x, &user);
    if (wrong) {
        exchange_error(x, 400, wrong);
        return;
    }
    size_t begin = ask_begin(x->ask, IPC_BLOCK);
    ipc_put_u64(&x->ask->channel.out, user);
    ipc_put_u8(&x->ask->channel.out, blocking);
    rest_forward_reply(x, begin);
}

void rest_block(struct exchange *x)
{
    ask_block(x, true);
}

void rest_unblock(struct exchange *x)
{
    ask_block(x, false);
}

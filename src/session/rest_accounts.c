/* Accounts; see rest_accounts.h. */
#include "rest_accounts.h"

#include <stdio.h>
#include <string.h>

#include "rest_body.h"

enum { MAX_USERNAME = 32, MAX_EMAIL = 254, MAX_PASSWORD = 72 };

static const char *username_error(struct text t)
{
    static const char allowed[] =
        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-";
    bool good = t.n >= 1 && t.n <= MAX_USERNAME;
    for (size_t i = 0; good && i < t.n; i++)
        good = t.p[i] && strchr(allowed, t.p[i]);
    return good ? NULL
                : "\"username\" must be 1 to 32 letters, digits, dots, underscores or hyphens";
}

/* Whether mail arrives is for a mail to find out; this refuses what cannot be an address. */
static const char *email_error(struct text t)
{
    const char *at = memchr(t.p, '@', t.n);
    const char *end = t.p + t.n;
    bool good = t.n <= MAX_EMAIL && at && at > t.p && at + 1 < end &&
                !memchr(at + 1, '@', (size_t)(end - at - 1));
    for (size_t i = 0; good && i < t.n; i++)
        good = (unsigned char)t.p[i] > ' ' && t.p[i] != 0x7f;
    return good ? NULL : "\"email\" must be an address such as name@example.com, at most 254 bytes";
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

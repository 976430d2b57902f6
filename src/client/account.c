/* Commands on the account itself: register, login, logout, whoami. */
#include <errno.h>
#include <json-c/json.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "element.h"
#include "json.h"
#include "login.h"
#include "program.h"
#include "request.h"
#include "secret.h"
#include "show.h"
#include "utf8.h"
#include "verbs.h"

enum { PASSWORD_MAX = 72 }; /* as chatd-protocol(7) says */

static void read_password(struct buf *out, const char *question)
{
    if (!secret_read(out, question, PASSWORD_MAX))
        program_fail(CHAT_FAILED, "standard input: %s", strerror(errno));
    if (buf_len(out) == 0)
        program_fail(CHAT_USAGE, "there is no password on standard input");
    if (buf_len(out) > PASSWORD_MAX)
        program_fail(CHAT_USAGE, "a password has at most %d bytes", PASSWORD_MAX);
    if (!utf8_valid(buf_head(out), buf_len(out)))
        program_fail(CHAT_USAGE, "a password must be UTF-8");
}

/* A new one is typed twice. */
static void read_new_password(struct buf *out)
{
    struct buf again = BUF_INIT;
    read_password(out, "New password: ");
    if (!isatty(STDIN_FILENO))
        return;
    read_password(&again, "Once more: ");
    if (buf_len(out) != buf_len(&again) ||
        memcmp(buf_head(out), buf_head(&again), buf_len(out)) != 0)
        program_fail(CHAT_USAGE, "the two differ; nothing was done");
    buf_wipe(&again);
}

static void put_member(struct buf *out, const char *name, const char *value, size_t n)
{
    if (!utf8_valid((const uint8_t *)value, n))
        program_fail(CHAT_USAGE, "the %s must be UTF-8", name);
    buf_printf(out, "%s\"%s\":", buf_len(out) ? "," : "{", name);
    json_put_string(out, value, n);
}

/* Sends what the body says so far, with the password; keeps the token. */
static void enter(const struct login *l, const char *path, struct buf *body, struct buf *password)
{
    struct text token;
    put_member(body, "password", (const char *)buf_head(password), buf_len(password));
    buf_puts(body, "}");
    buf_wipe(password);
    struct json_object *o = request_object("POST", path, body);
    buf_wipe(body);
    if (json_get_text(o, "token", &token) != JSON_OK)
        program_fail(CHAT_FAILED, "%s: the answer has no token", l->server);
    login_save(l, token);
    json_object_put(o);
}

void account_register(const struct login *l, char **words)
{
    struct buf body = BUF_INIT, password = BUF_INIT;
    if (!program.email)
        program_fail(CHAT_USAGE, "--email must give an address");
    put_member(&body, "username", words[0], strlen(words[0]));
    put_member(&body, "email", program.email, strlen(program.email));
    read_new_password(&password);
    enter(l, "/register", &body, &password);
}

void account_login(const struct login *l, char **words)
{
    struct buf body = BUF_INIT, password = BUF_INIT;
    put_member(&body, "username", words[0], strlen(words[0]));
    read_password(&password, "Password: ");
    enter(l, "/login", &body, &password);
}

/* A token that is void already needs no request. */
void account_logout(const struct login *l, char **words)
{
    struct answer a = {0};
    (void)words;
    (void)l;
    if (!program.local) {
        request_try(&(struct request){"POST", "/logout", NULL, NULL}, &a);
        if (a.status != 401)
            answer_check(&a);
        answer_free(&a);
    }
    if (!getenv("CHATD_TOKEN")) /* which may be another account's than the one that is kept */
        login_forget();
}

void account_whoami(const struct login *l, char **words)
{
    struct text name;
    struct buf out = BUF_INIT;
    (void)words;
    struct json_object *me = request_object("GET", "/me", NULL);
    if (json_get_text(me, "username", &name) != JSON_OK)
        program_fail(CHAT_FAILED, "%s: the answer has no username", l->server);
    if (program.json) {
        element_put(&out, me);
    } else {
        show_put(&out, name);
        buf_puts(&out, "\n");
    }
    show_print(&out);
    buf_free(&out);
    json_object_put(me);
}

/* Server and token; see login.h. */
#include "login.h"

#include <json-c/json.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "json.h"
#include "log.h"
#include "program.h"
#include "state.h"
#include "utf8.h"

static const char fallback[] = "http://localhost:8080";

/* What is typed without a scheme is https. */
static char *url(const char *given)
{
    struct buf out = BUF_INIT;
    size_t n = strlen(given), scheme = strncasecmp(given, "https://", 8) == 0  ? 8
                                       : strncasecmp(given, "http://", 7) == 0 ? 7
                                                                               : 0;
    while (n > scheme && given[n - 1] == '/')
        n--;
    for (size_t i = 0; i < n; i++)
        if (i >= scheme && (strchr("/?#@\\", given[i]) || (unsigned char)given[i] <= ' '))
            program_fail(CHAT_USAGE, "\"%s\" is no server: give it as https://chat.example.org",
                         given);
    if (n == scheme)
        program_fail(CHAT_USAGE, "the server's name is missing in \"%s\"", given);
    buf_puts(&out, scheme ? "" : "https://");
    buf_append(&out, given, n);
    char *result = xstrndup((const char *)buf_head(&out), buf_len(&out));
    buf_free(&out);
    return result;
}

static char *member(struct json_object *o, const char *key)
{
    struct text t;
    return json_get_text(o, key, &t) == JSON_OK && t.n > 0 ? xstrndup(t.p, t.n) : NULL;
}

/* What the file says; without one, nothing. */
static void load(struct login *l)
{
    struct buf b = BUF_INIT;
    char *path = state_path("login");
    *l = (struct login){0};
    if (state_read(path, &b)) {
        const char *error;
        struct json_object *o = json_parse_object((const char *)buf_head(&b), buf_len(&b), &error);
        if (!o)
            program_fail(CHAT_FAILED, "%s: %s; remove it, and log in again", path, error);
        *l = (struct login){member(o, "server"), member(o, "ca_file"), member(o, "token")};
        json_object_put(o);
    }
    buf_wipe(&b);
    free(path);
}

/* Options count before the environment, and that before the file. */
static char *chosen(const char *option, const char *variable, const char *kept, const char *none)
{
    const char *environment = getenv(variable);
    const char *found = option                        ? option
                        : environment && *environment ? environment
                        : kept                        ? kept
                                                      : none;
    return found ? xstrdup(found) : NULL;
}

/* A token stands in a header field: nothing in it may end that. */
static void check_token(const char *token)
{
    for (const char *s = token; *s; s++)
        if (*s <= ' ' || *s >= 127)
            program_fail(CHAT_DENIED, "the token is none: it has a character that no token has");
}

void login_find(struct login *l)
{
    struct login kept;
    load(&kept);
    char *server = chosen(program.server, "CHATD_SERVER", kept.server, fallback);
    *l = (struct login){.server = url(server)};
    bool same = kept.server && strcmp(kept.server, l->server) == 0;
    l->ca_file = chosen(program.ca_file, "CHATD_CA_FILE", same ? kept.ca_file : NULL, NULL);
    l->token = chosen(NULL, "CHATD_TOKEN", same ? kept.token : NULL, NULL);
    if (l->token)
        check_token(l->token);
    free(server);
    login_free(&kept);
}

void login_free(struct login *l)
{
    if (l->token)
        explicit_bzero(l->token, strlen(l->token));
    free(l->token);
    free(l->ca_file);
    free(l->server);
    *l = (struct login){0};
}

static void put_member(struct buf *out, const char *name, struct text value)
{
    buf_printf(out, "%s\"%s\":", buf_len(out) ? "," : "{", name);
    json_put_string(out, value.p, value.n);
}

void login_save(const struct login *l, struct text token)
{
    struct buf out = BUF_INIT;
    char *path = state_path("login"), *ca = l->ca_file ? realpath(l->ca_file, NULL) : NULL;
    put_member(&out, "server", (struct text){l->server, strlen(l->server)});
    if (ca && utf8_valid((const uint8_t *)ca, strlen(ca)))
        put_member(&out, "ca_file", (struct text){ca, strlen(ca)});
    put_member(&out, "token", token);
    buf_puts(&out, "}\n");
    state_write(path, &out);
    buf_wipe(&out);
    free(ca);
    free(path);
}

void login_forget(void)
{
    char *path = state_path("login");
    state_remove(path);
    free(path);
}

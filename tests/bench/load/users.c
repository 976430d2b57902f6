/*
 * Users: registered through the server's own API, with passwords that are made up here, and kept in
 * a file of the caller's from one run to the next: "ID NAME PASSWORD TOKEN" a line. See load.h.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "load.h"

enum { AT_ONCE = 8 };

struct registrar {
    struct conn conn; /* first: the two have one address */
    struct user *user;
};

struct user *users;
int user_count;

static int next_user, done;

char run_id[17];

void run_id_make(void)
{
    uint64_t r;
    if (getrandom(&r, sizeof(r), 0) != sizeof(r))
        quit("no random bytes");
    snprintf(run_id, sizeof(run_id), "%016" PRIx64, r);
}

void users_need(int count)
{
    if (user_count < count)
        quit("%d users are needed, and there are %d: use -u with the output of \"users %d\"", count,
             user_count, count);
}

void users_read(const char *file)
{
    FILE *f = fopen(file, "r");
    if (!f)
        quit("%s: cannot be opened", file);
    char *line = NULL, *rest;
    size_t size = 0;
    while (getline(&line, &size, f) > 0) {
        const char *id = strtok_r(line, " \n", &rest), *name = strtok_r(NULL, " \n", &rest);
        const char *password = strtok_r(NULL, " \n", &rest), *token = strtok_r(NULL, " \n", &rest);
        if (!token)
            quit("%s: not \"ID NAME PASSWORD TOKEN\" a line", file);
        users = realloc(users, (size_t)(user_count + 1) * sizeof(*users));
        if (!users)
            quit("no memory");
        users[user_count++] =
            (struct user){atoll(id), strdup(name), strdup(password), strdup(token)};
    }
    free(line);
    fclose(f);
}

static char *random_word(void)
{
    uint64_t r;
    char *word = NULL;
    if (getrandom(&r, sizeof(r), 0) != sizeof(r) || asprintf(&word, "b%016" PRIx64, r) < 0)
        quit("no random bytes");
    return word;
}

static void ask(struct conn *c)
{
    struct registrar *r = (struct registrar *)c;
    char body[256];
    r->user = &users[next_user++];
    r->user->name = random_word();
    r->user->password = random_word();
    snprintf(body, sizeof(body),
             "{\"username\":\"%s\",\"password\":\"%s\",\"email\":\"%s@example.org\"}",
             r->user->name, r->user->password, r->user->name);
    http_request(c, "POST", "/register", NULL, body, false);
}

static void take(struct conn *c)
{
    struct registrar *r = (struct registrar *)c;
    struct answer a;
    if (!http_answer(c, &a))
        return;
    char *body = strndup(a.body, a.size);
    char *token = strstr(body, "\"token\":\""), *id = strstr(body, "\"user\":{\"id\":");
    if (a.status != 201 || !token || !id)
        quit("register: %d %s", a.status, body);
    token += strlen("\"token\":\"");
    r->user->token = strndup(token, strcspn(token, "\""));
    r->user->id = atoll(id + strlen("\"user\":{\"id\":"));
    free(body);
    http_drop(c, &a);
    done++;
    if (next_user < user_count)
        ask(c);
}

void users_register(int count)
{
    user_count = count;
    users = calloc((size_t)count, sizeof(*users));
    struct registrar *all = calloc(AT_ONCE, sizeof(*all));
    if (!users || !all)
        quit("no memory");
    int dialled = count < AT_ONCE ? count : AT_ONCE;
    for (int i = 0; i < dialled; i++) {
        all[i].conn = (struct conn){.opened = ask, .readable = take};
        net_dial(&all[i].conn);
    }
    while (done < count)
        net_turn(1);
    for (int i = 0; i < dialled; i++)
        net_close(&all[i].conn);
    free(all);
    for (int i = 0; i < count; i++)
        printf("%lld %s %s %s\n", users[i].id, users[i].name, users[i].password, users[i].token);
}

/*
 * Operations on one key or on all: set, dump, reload, wipe.
 *
 * conf_load.c brings the text, conf_value.c understands numbers, conf_check.c looks at the whole.
 */
#include "conf_table.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "log.h"

static const char *const type_names[] = {
    [CONF_T_STRING] = "string", [CONF_T_SECRET] = "secret", [CONF_T_ENUM] = "enum",
    [CONF_T_INT] = "int",       [CONF_T_SIZE] = "size",     [CONF_T_DURATION] = "duration",
};

int conf_fail(struct conf_error *e, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(e->text, sizeof(e->text), fmt, ap);
    va_end(ap);
    return -1;
}

const char *conf_place(const struct conf *c, int id)
{
    return c->where[id] ? c->where[id] : "configuration";
}

int conf_fault(const struct conf *c, enum conf_id id, struct conf_error *e, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = snprintf(e->text, sizeof(e->text), "%.200s: %s: ", conf_place(c, (int)id),
                     conf_table[id].name);
    vsnprintf(e->text + n, sizeof(e->text) - (size_t)n, fmt, ap);
    va_end(ap);
    return -1;
}

int conf_find(const char *name)
{
    for (int id = 0; id < CONF_KEY_COUNT; id++)
        if (strcmp(conf_table[id].name, name) == 0)
            return id;
    return -1;
}

int conf_find_env(const char *name)
{
    for (int id = 0; id < CONF_KEY_COUNT; id++)
        if (conf_table[id].env && strcmp(conf_table[id].env, name) == 0)
            return id;
    return -1;
}

static bool is_text(const struct conf_key *key)
{
    return key->type == CONF_T_STRING || key->type == CONF_T_SECRET;
}

static void *member(struct conf *c, const struct conf_key *key)
{
    return (char *)c + key->offset;
}

static const void *member_const(const struct conf *c, const struct conf_key *key)
{
    return (const char *)c + key->offset;
}

/* Every string is overwritten before it is freed: cheaper than remembering which ones matter. */
static void replace_text(char **text, char *with)
{
    if (*text)
        explicit_bzero(*text, strlen(*text));
    free(*text);
    *text = with;
}

static int set_text(struct conf *c, const struct conf_key *key, const char *value,
                    const char *where, struct conf_error *e)
{
    size_t n = strlen(value);
    if (n > CONF_VALUE_MAX)
        return conf_fail(e, "%s: the value of %s has %zu bytes; at most %d are allowed", where,
                         key->name, n, CONF_VALUE_MAX);
    for (const char *s = value; *s; s++)
        if (((unsigned char)*s < 0x20 && *s != '\t') || *s == 0x7f)
            return conf_fail(e,
                             "%s: the value of %s contains the control character 0x%02x; "
                             "remove it",
                             where, key->name, (unsigned)(unsigned char)*s);
    replace_text(member(c, key), xstrndup(value, n));
    return 0;
}

static int set_number(struct conf *c, const struct conf_key *key, const char *value)
{
    long long n;
    if (!conf_parse_number(key->type, value, &n) || n < key->min || n > key->max)
        return -1;
    void *at = member(c, key);
    if (key->type == CONF_T_INT)
        *(int *)at = (int)n;
    else if (key->type == CONF_T_SIZE)
        *(size_t *)at = (size_t)n;
    else
        *(long long *)at = n;
    return 0;
}

static int set_word(struct conf *c, const struct conf_key *key, const char *value)
{
    for (int i = 0; key->words[i]; i++)
        if (strcmp(key->words[i], value) == 0) {
            *(int *)member(c, key) = i;
            return 0;
        }
    return -1;
}

int conf_set_id(struct conf *c, int id, const char *value, const char *where, struct conf_error *e)
{
    const struct conf_key *key = &conf_table[id];
    if (is_text(key)) {
        if (set_text(c, key, value, where, e) < 0)
            return -1;
    } else if ((key->type == CONF_T_ENUM ? set_word : set_number)(c, key, value) < 0) {
        char accepts[200];
        conf_describe(key, accepts, sizeof(accepts));
        return conf_fail(e, "%s: %s is \"%.60s\", but must be %s", where, key->name, value,
                         accepts);
    }
    replace_text(&c->where[id], xstrdup(where));
    return 0;
}

/* The part of a place that names its source: the file without the line, or all of it. */
static size_t source_size(const char *where)
{
    const char *colon = strrchr(where, ':');
    return colon ? (size_t)(colon - where) : strlen(where);
}

/* A value can be given directly or in a file: the key for the other way, or -1. */
static int other_way(int id)
{
    static const int ways[][2] = {{CONF_K_jwt_secret, CONF_K_jwt_secret_file},
                                  {CONF_K_jwt_old_secret, CONF_K_jwt_old_secret_file},
                                  {CONF_K_jwt_public_key, CONF_K_jwt_public_key_file},
                                  {CONF_K_db_password, CONF_K_db_password_file}};
    for (size_t i = 0; i < sizeof(ways) / sizeof(ways[0]); i++)
        for (int j = 0; j < 2; j++)
            if (id == ways[i][j])
                return ways[i][!j];
    return -1;
}

/* A later source wins even if it uses the other way; both ways in one source are an error, which
 * conf_finish() reports. */
static void drop_other_way(struct conf *c, int id, const char *where)
{
    int other = other_way(id);
    const char *place = other >= 0 ? c->where[other] : NULL;
    if (!place || (source_size(place) == source_size(where) &&
                   strncmp(place, where, source_size(where)) == 0))
        return;
    replace_text(member(c, &conf_table[other]), xstrdup(""));
    replace_text(&c->where[other], NULL);
}

bool conf_has_secret(const struct conf *c, int id)
{
    const char *const *itself = member_const(c, &conf_table[id]);
    const char *const *file = member_const(c, &conf_table[other_way(id)]);
    return **itself || **file;
}

int conf_set_source(struct conf *c, int id, const char *value, const char *where,
                    struct conf_error *e)
{
    if (conf_set_id(c, id, value, where, e) < 0)
        return -1;
    if (*value)
        drop_other_way(c, id, where);
    return 0;
}

int conf_set(struct conf *c, const char *key, const char *value, const char *where,
             struct conf_error *e)
{
    int id = conf_find(key);
    if (id >= 0)
        return conf_set_source(c, id, value, where, e);
    const char *nearest = conf_nearest(key);
    if (nearest)
        return conf_fail(e, "%s: unknown key \"%s\"; did you mean \"%s\"?", where, key, nearest);
    return conf_fail(e, "%s: unknown key \"%.60s\"; chatd.conf(5) lists those that exist", where,
                     key);
}

void conf_init(struct conf *c)
{
    *c = (struct conf){0};
    for (int id = 0; id < CONF_KEY_COUNT; id++) {
        struct conf_error e;
        if (conf_set_id(c, id, conf_table[id].preset, "default", &e) < 0)
            bug("%s", e.text);
        replace_text(&c->where[id], NULL);
    }
}

void conf_free(struct conf *c)
{
    for (int id = 0; id < CONF_KEY_COUNT; id++) {
        replace_text(&c->where[id], NULL);
        if (is_text(&conf_table[id]))
            replace_text(member(c, &conf_table[id]), NULL);
    }
}

int conf_bcrypt_most(const struct conf *c)
{
    enum { MORE = 4, HIGHEST = 16 };
    return c->bcrypt_cost + MORE < HIGHEST ? (int)c->bcrypt_cost + MORE : HIGHEST;
}

int conf_clients_most(const struct conf *c, int limit)
{
    enum { PARTS = 4, LEAST = 16 };
    int part = (int)c->max_clients / PARTS;
    if (limit >= 0)
        return limit;
    return part > LEAST ? part : LEAST;
}

void conf_wipe_secrets(struct conf *c)
{
    for (int id = 0; id < CONF_KEY_COUNT; id++)
        if (conf_table[id].type == CONF_T_SECRET)
            replace_text(member(c, &conf_table[id]), xstrdup(""));
}

void conf_wipe_environment(void)
{
    for (int id = 0; id < CONF_KEY_COUNT; id++) {
        const struct conf_key *key = &conf_table[id];
        char *value = key->type == CONF_T_SECRET && key->env ? getenv(key->env) : NULL;
        if (!value)
            continue;
        explicit_bzero(value, strlen(value));
        unsetenv(key->env);
    }
}

/* Formats the value of a key that is not text. */
static const char *format_value(const struct conf *c, const struct conf_key *key, char out[32])
{
    const void *at = member_const(c, key);
    if (key->type == CONF_T_ENUM)
        return key->words[*(const int *)at];
    long long n = key->type == CONF_T_INT    ? *(const int *)at
                  : key->type == CONF_T_SIZE ? (long long)*(const size_t *)at
                                             : *(const long long *)at;
    conf_format_number(key->type, n, out);
    return out;
}

static void dump_text(struct buf *out, const char *text)
{
    buf_puts(out, "\"");
    for (; *text; text++) {
        if (*text == '"' || *text == '\\')
            buf_puts(out, "\\");
        buf_append(out, text, 1);
    }
    buf_puts(out, "\"");
}

void conf_dump(const struct conf *c, struct buf *out, unsigned roles)
{
    roles &= ~(unsigned)CONF_RELOADABLE;
    for (int id = 0; id < CONF_KEY_COUNT; id++) {
        const struct conf_key *key = &conf_table[id];
        char number[32];
        if (!(key->flags & roles))
            continue;
        buf_printf(out, "%s = ", key->name);
        if (is_text(key))
            dump_text(out, *(char *const *)member_const(c, key));
        else
            buf_puts(out, format_value(c, key, number));
        buf_puts(out, "\n");
    }
}

void conf_reload(struct conf *running, const struct conf *fresh, struct buf *fixed)
{
    for (int id = 0; id < CONF_KEY_COUNT; id++) {
        const struct conf_key *key = &conf_table[id];
        char a[32], b[32];
        if (key->type == CONF_T_SECRET)
            continue;
        bool text = is_text(key);
        const char *old = text ? *(char **)member(running, key) : format_value(running, key, a);
        const char *new =
            text ? *(char *const *)member_const(fresh, key) : format_value(fresh, key, b);
        if (strcmp(old, new) == 0)
            continue;
        struct conf_error e;
        const char *where = fresh->where[id] ? fresh->where[id] : "default";
        if (!(key->flags & CONF_RELOADABLE))
            buf_printf(fixed, "%s%s", buf_len(fixed) ? ", " : "", key->name);
        else if (conf_set_id(running, id, new, where, &e) < 0)
            bug("reload: %s", e.text);
    }
}

void conf_print_places(const struct conf *c, FILE *out)
{
    for (int id = 0; id < CONF_KEY_COUNT; id++)
        if (c->where[id])
            fprintf(out, "%s: %s\n", conf_table[id].name, c->where[id]);
}

void conf_print_keys(FILE *out)
{
    for (int id = 0; id < CONF_KEY_COUNT; id++)
        fprintf(out, "%s\t%s\t%s\n", conf_table[id].name, type_names[conf_table[id].type],
                conf_table[id].preset);
}

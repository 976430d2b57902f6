/*
 * Public keys from a PEM file (RFC 7468), as the one line of text that goes to the broker: what
 * stands between the BEGIN and END of each, separated by commas.
 *
 * This only finds the text; the master checks that they are usable keys.
 */
#include "conf_table.h"

#include <string.h>
#include <sys/stat.h>

#include "buf.h"

enum { PEM_MAX = 32 * 1024 };

#define BEGIN "-----BEGIN "
#define END   "-----END "
#define LABEL "PUBLIC KEY-----"

static bool starts_with(const char *line, size_t n, const char *text)
{
    return n >= strlen(text) && memcmp(line, text, strlen(text)) == 0;
}

/* What to do with a file that holds something else. */
static const char *remedy_of_label(const char *label, size_t n)
{
    if (starts_with(label, n, "CERTIFICATE"))
        return "run: openssl x509 -pubkey -noout -in FILE";
    if (starts_with(label, n, "RSA PUBLIC KEY"))
        return "run: openssl rsa -RSAPublicKey_in -in FILE -pubout";
    return "only the public part of a key belongs here; run: openssl pkey -in FILE -pubout";
}

struct reading {
    struct buf keys;
    bool inside;
    const char *prefix;
    struct conf_error *error;
};

static int take_line(struct reading *r, const char *line, size_t n)
{
    if (starts_with(line, n, END)) {
        r->inside = false;
    } else if (starts_with(line, n, BEGIN LABEL)) {
        if (buf_len(&r->keys) > 0)
            buf_puts(&r->keys, ",");
        r->inside = true;
    } else if (starts_with(line, n, BEGIN)) {
        const char *label = line + strlen(BEGIN);
        return conf_fail(r->error, "%sit holds no \"PUBLIC KEY\"; %s", r->prefix,
                         remedy_of_label(label, n - strlen(BEGIN)));
    } else if (r->inside) {
        buf_append(&r->keys, line, n);
    }
    return 0;
}

static int take_lines(struct reading *r, const char *text, size_t n)
{
    while (n > 0) {
        const char *end = memchr(text, '\n', n);
        size_t whole = end ? (size_t)(end - text) + 1 : n, size = end ? whole - 1 : n;
        if (size > 0 && text[size - 1] == '\r')
            size--;
        if (take_line(r, text, size) < 0)
            return -1;
        text += whole;
        n -= whole;
    }
    if (buf_len(&r->keys) == 0 || r->inside)
        return conf_fail(r->error,
                         "%sit holds no \"PUBLIC KEY\" in PEM; run: openssl pkey "
                         "-in FILE -pubout",
                         r->prefix);
    return 0;
}

static int store(struct conf *c, struct reading *r, const char *path)
{
    buf_append(&r->keys, "", 1);
    const char *keys = (const char *)buf_head(&r->keys);
    if (strlen(keys) + 1 != buf_len(&r->keys))
        return conf_fail(r->error, "%sit holds a NUL byte; a PEM file is text", r->prefix);
    return conf_set_id(c, CONF_K_jwt_public_key, keys, path, r->error);
}

int conf_read_public_keys(struct conf *c, struct conf_error *e)
{
    const char *path = c->jwt_public_key_file, *where = c->where[CONF_K_jwt_public_key_file];
    if (!*path)
        return 0;
    if (*c->jwt_public_key)
        return conf_fail(e,
                         "%.200s: jwt_public_key and jwt_public_key_file are both set; remove "
                         "one of them",
                         where);
    char prefix[480], place[224];
    snprintf(place, sizeof(place), "%.200s", path);
    snprintf(prefix, sizeof(prefix), "%.200s: jwt_public_key_file: ", where);
    struct buf text = BUF_INIT;
    struct conf_read how = {.max = PEM_MAX, .closed = S_IWOTH, .prefix = prefix};
    int result = conf_read_file(&text, path, how, e);
    snprintf(prefix, sizeof(prefix), "%.200s: jwt_public_key_file: %.200s: ", where, path);
    struct reading r = {.prefix = prefix, .error = e};
    if (result == 0)
        result = take_lines(&r, (const char *)buf_head(&text), buf_len(&text));
    if (result == 0)
        result = store(c, &r, place);
    buf_free(&text);
    buf_free(&r.keys);
    return result;
}

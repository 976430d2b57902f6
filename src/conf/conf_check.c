/*
 * The configuration as a whole: secrets from files of their own, and what involves several keys.
 *
 * Called by the master once everything was set. It refuses to go on without a secret, with a weak
 * one in production, and with any setting that contradicts another.
 */
#include "conf_table.h"

#include <string.h>
#include <sys/stat.h>

#include "buf.h"
#include "netaddr.h"

/* RFC 7518, section 3.2: a key for HS256 is at least as long as its hash. */
enum { JWT_SECRET_MIN = 32 };

#define MAKE_A_SECRET                                                                              \
    "run: (umask 077; openssl rand -base64 32 > FILE), and set jwt_secret_file = FILE"

int conf_open(const struct conf *c, enum conf_id id, const char *path, bool private,
              struct conf_error *e)
{
    char prefix[256];
    snprintf(prefix, sizeof(prefix), "%.200s: %s: ", conf_place(c, (int)id), conf_table[id].name);
    return conf_open_file(path, private ? S_IROTH | S_IWOTH : 0, prefix, e);
}

static size_t trimmed(const char *text, size_t n)
{
    if (n > 0 && text[n - 1] == '\n')
        n--;
    if (n > 0 && text[n - 1] == '\r')
        n--;
    return n;
}

static int store_secret(struct conf *c, int id, struct buf *text, const char *path,
                        const char *prefix, struct conf_error *e)
{
    size_t n = buf_len(text) ? trimmed((const char *)buf_head(text), buf_len(text)) : 0;
    if (n == 0)
        return conf_fail(e, "%s%.200s is empty; write the secret into it", prefix, path);
    char secret[CONF_VALUE_MAX + 8] = "";
    memcpy(secret, buf_head(text), n);
    int result = 0;
    for (size_t i = 0; i < n && result == 0; i++)
        if ((unsigned char)secret[i] < 0x20 || secret[i] == 0x7f)
            result = conf_fail(e,
                               "%s%.200s: byte %zu is not text; the file must hold one line, "
                               "such as openssl rand -base64 32 prints",
                               prefix, path, i + 1);
    if (result == 0) {
        char where[224];
        snprintf(where, sizeof(where), "%.200s", path);
        result = conf_set_id(c, id, secret, where, e);
    }
    explicit_bzero(secret, sizeof(secret));
    return result;
}

static int read_secret(struct conf *c, int id, const char *secret, int file_id, const char *path,
                       struct conf_error *e)
{
    const char *key = conf_table[id].name, *file_key = conf_table[file_id].name;
    if (!*path)
        return 0;
    if (*secret)
        return conf_fail(e, "%.200s: %s and %s (%.200s) are both set; remove one of them",
                         conf_place(c, id), key, file_key, conf_place(c, file_id));
    char prefix[256];
    snprintf(prefix, sizeof(prefix), "%.200s: %s: ", conf_place(c, file_id), file_key);
    struct buf text = BUF_INIT;
    struct conf_read how = {
        .max = CONF_VALUE_MAX + 2, .closed = S_IROTH | S_IWOTH, .prefix = prefix};
    int result = conf_read_file(&text, path, how, e);
    if (result == 0)
        result = store_secret(c, id, &text, path, prefix, e);
    buf_wipe(&text);
    return result;
}

int conf_read_password(struct conf *c, const char *path, struct conf_error *e)
{
    return read_secret(c, CONF_K_db_password, "", CONF_K_db_password_file, path, e);
}

static int check_strength(const struct conf *c, int id, const char *secret, const char *remedy,
                          struct conf_error *e)
{
    size_t n = strlen(secret);
    if (n == 0 || n >= JWT_SECRET_MIN || c->mode != CONF_PRODUCTION)
        return 0;
    return conf_fail(e,
                     "%.200s: %s has %zu bytes, but HS256 needs at least %d "
                     "(RFC 7518, section 3.2); %s",
                     conf_place(c, id), conf_table[id].name, n, JWT_SECRET_MIN, remedy);
}

static int check_jwt_secrets(const struct conf *c, struct conf_error *e)
{
    if (!*c->jwt_secret)
        return conf_fail(e, "%.200s: jwt_secret is not set, and there is no default; %s",
                         conf_place(c, CONF_K_jwt_secret), MAKE_A_SECRET);
    if (check_strength(c, CONF_K_jwt_secret, c->jwt_secret, MAKE_A_SECRET, e) < 0)
        return -1;
    return check_strength(c, CONF_K_jwt_old_secret, c->jwt_old_secret,
                          "who had a token of it could guess it: leave it out", e);
}

/* token.c looks for it in JSON without unescaping. */
static int check_audience(const struct conf *c, struct conf_error *e)
{
    if (!strpbrk(c->jwt_audience, "\"\\\t"))
        return 0;
    return conf_fail(e, "%.200s: jwt_audience must not contain a quote, a backslash or a tab",
                     conf_place(c, CONF_K_jwt_audience));
}

/* An origin as a browser sends it: scheme://host[:port] and nothing more. */
static bool is_origin(const char *s, size_t n)
{
    size_t scheme = strncmp(s, "https://", 8) == 0 ? 8 : strncmp(s, "http://", 7) == 0 ? 7 : 0;
    if (scheme == 0 || n <= scheme)
        return false;
    return strcspn(s + scheme, "/*?# \t,") >= n - scheme;
}

static int check_origins(const struct conf *c, struct conf_error *e)
{
    const char *s = c->cors_origins;
    if (!*s || strcmp(s, "*") == 0)
        return 0;
    for (;;) {
        s += strspn(s, " \t");
        const char *end = s + strcspn(s, ",");
        size_t n = (size_t)(end - s);
        while (n > 0 && (s[n - 1] == ' ' || s[n - 1] == '\t'))
            n--;
        if (!is_origin(s, n))
            return conf_fail(e,
                             "%.200s: cors_origins: \"%.*s\" is no origin; write https://host or "
                             "https://host:port without a path, or * alone for all",
                             conf_place(c, CONF_K_cors_origins), n > 60 ? 60 : (int)n, s);
        if (!*end)
            return 0;
        s = end + 1;
    }
}

static int check_proxies(const struct conf *c, struct conf_error *e)
{
    size_t n;
    const char *wrong = netaddr_list_error(c->trusted_proxies, &n);
    if (wrong)
        return conf_fail(e,
                         "%.200s: trusted_proxies: \"%.*s\" is no address; write 192.0.2.1, "
                         "2001:db8::1, a network such as 10.0.0.0/8, or unix",
                         conf_place(c, CONF_K_trusted_proxies), n > 60 ? 60 : (int)n, wrong);
    int id = c->proxy_protocol ? CONF_K_proxy_protocol : CONF_K_forwarded_for;
    if (!*c->trusted_proxies && (c->proxy_protocol || c->forwarded_for))
        return conf_fail(e, "%.200s: %s is on, but trusted_proxies names nobody; list the proxies",
                         conf_place(c, id), conf_table[id].name);
    return 0;
}

static int check_login_delay(const struct conf *c, struct conf_error *e)
{
    if (c->login_delay < c->request_timeout)
        return 0;
    int id = c->where[CONF_K_login_delay] ? CONF_K_login_delay : CONF_K_request_timeout;
    return conf_fail(e, "%.200s: login_delay must be shorter than request_timeout; lower it",
                     conf_place(c, id));
}

static int check_spare(const struct conf *c, struct conf_error *e)
{
    if (c->max_spare >= c->min_spare)
        return 0;
    int id = c->where[CONF_K_min_spare] ? CONF_K_min_spare : CONF_K_max_spare;
    return conf_fail(e, "%.200s: min_spare is %d, but max_spare is only %d; raise max_spare",
                     conf_place(c, id), c->min_spare, c->max_spare);
}

/* -1 with an error if an entry of listen is wrong, else whether one of them speaks TLS. */
static int find_tls(const struct conf *c, struct conf_error *e)
{
    const char *rest = c->listen;
    struct conf_address a;
    int result, count = 0, tls = 0;
    for (; (result = conf_next_address(c, &rest, &a, e)) > 0; count++)
        tls |= a.tls;
    if (result == 0 && count == 0)
        return conf_fault(c, CONF_K_listen, e, "names no address; give one, such as 127.0.0.1");
    return result < 0 ? -1 : tls;
}

bool conf_wants_tls(const struct conf *c)
{
    struct conf_error e;
    return find_tls(c, &e) > 0 || c->tls_handed_over;
}

static int check_listen(const struct conf *c, struct conf_error *e)
{
    struct conf_address admin;
    return find_tls(c, e) < 0 || conf_admin_address(c, &admin, e) < 0 ? -1 : 0;
}

const char *conf_warning(const struct conf *c, unsigned number)
{
    const char *found[3] = {NULL};
    size_t n = 0, secret = strlen(c->jwt_secret);
    if (secret > 0 && secret < JWT_SECRET_MIN)
        found[n++] =
            "jwt_secret has fewer than 32 bytes and can be guessed; production would refuse it";
    if (*c->tls_certificate_file && !conf_wants_tls(c))
        found[n++] =
            "tls_certificate_file is set, but no address of listen has tls: in front: only "
            "a socket that is handed over under the name tls would use it";
    return number < n ? found[number] : NULL;
}

static int check_tls(const struct conf *c, struct conf_error *e)
{
    if (*c->tls_certificate_file && !*c->tls_key_file)
        return conf_fault(c, CONF_K_tls_certificate_file, e,
                          "needs the private key, too: set tls_key_file");
    if (*c->tls_key_file && !*c->tls_certificate_file)
        return conf_fault(c, CONF_K_tls_key_file, e,
                          "needs the certificate, too: set tls_certificate_file");
    if (conf_wants_tls(c) && !*c->tls_certificate_file)
        return conf_fault(c, c->tls_handed_over ? CONF_K_tls_handed_over : CONF_K_listen, e,
                          "TLS needs a certificate: set tls_certificate_file and tls_key_file");
    return 0;
}

int conf_finish(struct conf *c, struct conf_error *e)
{
    if (read_secret(c, CONF_K_db_password, c->db_password, CONF_K_db_password_file,
                    c->db_password_file, e) < 0 ||
        read_secret(c, CONF_K_jwt_secret, c->jwt_secret, CONF_K_jwt_secret_file, c->jwt_secret_file,
                    e) < 0 ||
        read_secret(c, CONF_K_jwt_old_secret, c->jwt_old_secret, CONF_K_jwt_old_secret_file,
                    c->jwt_old_secret_file, e) < 0)
        return -1;
    return check_jwt_secrets(c, e) < 0 ? -1 : conf_check(c, e);
}

int conf_check(struct conf *c, struct conf_error *e)
{
    bool good = conf_read_public_keys(c, e) == 0 && check_audience(c, e) == 0 &&
                check_origins(c, e) == 0 && check_spare(c, e) == 0 && check_proxies(c, e) == 0 &&
                check_login_delay(c, e) == 0 && check_listen(c, e) == 0 && check_tls(c, e) == 0;
    return good ? 0 : -1;
}

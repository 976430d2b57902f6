/*
 * Reads configuration from chatd.conf, the environment and -o; conf_dotenv.c reads .env.
 *
 * Text is hostile until it is understood: a line that is too long, holds a NUL or a control
 * character, or is not key = value ends the reading with an error. Copies are overwritten, as any
 * line may hold a secret.
 */
#include "conf_table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"

static bool is_blank(char ch)
{
    return ch == ' ' || ch == '\t';
}

static char *skip_blanks(char *s)
{
    while (is_blank(*s))
        s++;
    return s;
}

static void trim_end(const char *start, char *end)
{
    while (end > start && is_blank(end[-1]))
        end--;
    *end = '\0';
}

static bool is_end(const char *s)
{
    return *s == '\0' || *s == '#';
}

int conf_fail_at(struct conf_source *src, const char *what)
{
    return conf_fail(src->error, "%.200s:%u: %s", src->name, src->line, what);
}

/* Cuts a value without quotes at its comment and at the blanks before that. */
static void cut_bare(char *value)
{
    char *s = value;
    while (*s && !(*s == '#' && is_blank(s[-1])))
        s++;
    trim_end(value, s);
}

/* Turns "a \" b" into its meaning, in place. */
static int unquote(struct conf_source *src, char *value)
{
    char *to = value, *s = value + 1;
    for (; *s && *s != '"'; s++) {
        if (*s == '\\' && s[1] != '\\' && s[1] != '"')
            return conf_fail_at(src, "a backslash in quotes must precede \\ or \"; write \\\\");
        s += *s == '\\';
        *to++ = *s;
    }
    if (!*s)
        return conf_fail_at(src, "the closing quote is missing");
    char *rest = skip_blanks(s + 1);
    if (!is_end(rest) || (*rest == '#' && rest == s + 1))
        return conf_fail_at(src,
                            "text after the closing quote; precede a quote in the value with \\");
    *to = '\0';
    return 0;
}

int conf_set_once(struct conf_source *src, int id, const char *key, const char *value)
{
    if (id >= 0 && src->seen[id])
        return conf_fail(src->error, "%.200s:%u: %s is already set in line %u; remove one of them",
                         src->name, src->line, key, src->seen[id]);
    if (id >= 0)
        src->seen[id] = src->line;
    char where[224];
    snprintf(where, sizeof(where), "%.200s:%u", src->name, src->line);
    return conf_set(src->conf, id >= 0 ? conf_table[id].name : key, value, where, src->error);
}

/* Splits at the first "="; key and value lose the blanks around them. Returns NULL without one. */
static char *split(char *line)
{
    char *equals = strchr(line, '=');
    if (!equals || equals == line)
        return NULL;
    trim_end(line, equals);
    return equals + 1;
}

static int conf_line(struct conf_source *src, char *line)
{
    char *value = split(line);
    if (!value || strstr(line, " #") || strstr(line, "\t#"))
        return conf_fail_at(src, "expected key = value; a comment starts with #");
    /* The byte before the value, "=" or a blank, decides whether a "#" in front is a comment. */
    value = skip_blanks(value);
    if (*value != '"')
        cut_bare(value);
    else if (unquote(src, value) < 0)
        return -1;
    return conf_set_once(src, conf_find(line), line, value);
}

static int check_bytes(struct conf_source *src, const char *line, size_t n)
{
    if (n > CONF_LINE_MAX)
        return conf_fail(src->error, "%.200s:%u: a line of %zu bytes; at most %d are allowed",
                         src->name, src->line, n, CONF_LINE_MAX);
    for (size_t i = 0; i < n; i++) {
        unsigned char ch = (unsigned char)line[i];
        if ((ch < 0x20 && ch != '\t') || ch == 0x7f)
            return conf_fail(src->error,
                             "%.200s:%u: %s 0x%02x at byte %zu; save the file as plain text%s",
                             src->name, src->line, ch ? "control character" : "NUL byte",
                             (unsigned)ch, i + 1, ch == '\r' ? " with Unix line ends" : "");
    }
    return 0;
}

static int each_line(struct conf_source *src, const char *text, size_t n,
                     int (*handle)(struct conf_source *, char *))
{
    char line[CONF_LINE_MAX + 1];
    int result = 0;
    while (n > 0 && result == 0) {
        const char *newline = memchr(text, '\n', n);
        size_t len = newline ? (size_t)(newline - text) : n;
        src->line++;
        result = check_bytes(src, text, len);
        if (result == 0) {
            memcpy(line, text, len);
            line[len] = '\0';
            char *start = skip_blanks(line);
            if (!is_end(start))
                result = handle(src, start);
        }
        text += len + (newline != NULL);
        n -= len + (newline != NULL);
    }
    explicit_bzero(line, sizeof(line));
    return result;
}

int conf_load_text(struct conf *c, const char *text, size_t n, const char *name,
                   struct conf_error *e)
{
    struct conf_source src = {.conf = c, .name = name, .error = e};
    return each_line(&src, text, n, conf_line);
}

static int check_closed(int fd, const char *path, unsigned closed, const char *prefix,
                        struct conf_error *e)
{
    struct stat st;
    if (fstat(fd, &st) < 0)
        return conf_fail(e, "%s%.200s: %s", prefix, path, strerror(errno));
    if (st.st_mode & closed)
        return conf_fail(e, "%s%.150s is open to every user; run: chmod %s %.150s", prefix, path,
                         closed & S_IROTH ? "o-rwx" : "o-w", path);
    return 0;
}

/* Reserve all memory at once: a growing buffer leaves copies of its content. */
int conf_read_all(struct buf *out, int fd, size_t max)
{
    buf_reserve(out, max + 1);
    while (buf_len(out) <= max) {
        long n = buf_read(out, fd, max + 1 - buf_len(out));
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return (int)n;
    }
    errno = EFBIG;
    return -1;
}

int conf_open_file(const char *path, unsigned closed, const char *prefix, struct conf_error *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
    if (fd < 0)
        return conf_fail(e, "%s%.200s: %s; correct the path or the permissions", prefix, path,
                         strerror(errno));
    if (closed && check_closed(fd, path, closed, prefix, e) < 0) {
        close(fd);
        errno = EACCES;
        return -1;
    }
    return fd;
}

int conf_read_file(struct buf *out, const char *path, struct conf_read how, struct conf_error *e)
{
    int fd = conf_open_file(path, how.closed, how.prefix, e), result = 0;
    if (fd < 0)
        return -1;
    if (conf_read_all(out, fd, how.max) < 0)
        result = conf_fail(e, "%s%.200s: %s; a file of at most %zu bytes is expected", how.prefix,
                           path, strerror(errno), how.max);
    close(fd);
    return result;
}

int conf_load_file(struct conf *c, const char *path, struct conf_error *e)
{
    struct conf_source src = {.conf = c, .name = path, .error = e};
    struct buf text = BUF_INIT;
    struct conf_read how = {.max = CONF_FILE_MAX, .closed = S_IWOTH, .prefix = ""};
    int result = conf_read_file(&text, path, how, e);
    if (result == 0 && buf_len(&text) > 0)
        result = each_line(&src, (const char *)buf_head(&text), buf_len(&text), conf_line);
    buf_wipe(&text);
    return result;
}

int conf_load_environment(struct conf *c, struct conf_error *e)
{
    for (int id = 0; id < CONF_KEY_COUNT; id++) {
        const char *name = conf_table[id].env, *value = name ? getenv(name) : NULL;
        char where[64];
        if (!value)
            continue;
        snprintf(where, sizeof(where), "environment %s", name);
        if (conf_set_source(c, id, value, where, e) < 0)
            return -1;
    }
    return 0;
}

int conf_set_option(struct conf *c, const char *argument, struct conf_error *e)
{
    char key[CONF_LINE_MAX + 1];
    size_t n = strlen(argument);
    if (n > CONF_LINE_MAX)
        return conf_fail(e, "-o: an argument of %zu bytes; at most %d are allowed", n,
                         CONF_LINE_MAX);
    memcpy(key, argument, n + 1);
    char *value = split(key);
    int result = value ? conf_set(c, skip_blanks(key), value, "-o", e)
                       : conf_fail(e, "-o: expected key=value");
    explicit_bzero(key, sizeof(key));
    return result;
}

/* The key if it is a secret, or -1. */
static int secret_of(const char *argument)
{
    argument += strspn(argument, " \t");
    size_t n = strcspn(argument, "= \t");
    for (int id = 0; id < CONF_KEY_COUNT; id++)
        if (conf_table[id].type == CONF_T_SECRET && strlen(conf_table[id].name) == n &&
            strncmp(conf_table[id].name, argument, n) == 0)
            return id;
    return -1;
}

bool conf_option_is_secret(const char *argument)
{
    return secret_of(argument) >= 0;
}

bool conf_read_dump(struct buf *out, int fd)
{
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || st.st_size > CONF_DUMP_MAX)
        return false;
    size_t size = (size_t)st.st_size;
    if (pread(fd, buf_reserve(out, size + 1), size, 0) != (ssize_t)size)
        return false;
    buf_commit(out, size);
    return true;
}

static int missing_secret_line(struct conf_source *src, char *line)
{
    int id = secret_of(line);
    /* jwt_old_secret goes with jwt_secret: leaving it out is how an old key is retired. */
    if (id < 0 || conf_has_secret(src->conf, id) || (id == CONF_K_jwt_old_secret && src->own_keys))
        return 0;
    return conf_line(src, line);
}

int conf_take_secrets(struct conf *c, int fd, struct conf_error *e)
{
    struct conf_source src = {.conf = c,
                              .name = "the secrets handed over",
                              .own_keys = conf_has_secret(c, CONF_K_jwt_secret),
                              .error = e};
    struct buf text = BUF_INIT;
    int result = -1;
    if (conf_read_dump(&text, fd))
        result =
            each_line(&src, (const char *)buf_head(&text), buf_len(&text), missing_secret_line);
    else
        conf_fail(e, "the secrets handed over cannot be read");
    buf_wipe(&text);
    return result;
}

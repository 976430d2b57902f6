/*
 * .env: lines of the form NAME=value that chatd shares with other programs.
 *
 * Understands what the common readers of such files agree on: a leading export, comments, '...',
 * "..." with escapes, `...`, and quotes that span several lines. Only our own names can be in
 * error: whatever belongs to other programs is skipped, of any length and content.
 */
#include "conf_table.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "log.h"
#include "trust.h"

#define NAME_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-"

static char *skip_blanks(char *s)
{
    return s + strspn(s, " \t");
}

static char *end_of_line(char *s, char *end)
{
    char *newline = memchr(s, '\n', (size_t)(end - s));
    return newline ? newline : end;
}

static int find_name(const char *name, size_t n)
{
    char copy[32] = "";
    if (n >= sizeof(copy))
        return -1;
    memcpy(copy, name, n);
    return conf_find_env(copy);
}

/* The quote that ends a value which begins with one; NULL if there is none, or if anything but a
 * comment follows it: then the value is not quoted. */
static char *find_closing(char *value, const char *end)
{
    char *s = value + 1;
    while (s < end && *s != *value)
        s += *s == '\\' && s + 1 < end ? 2 : 1;
    if (s >= end)
        return NULL;
    char *rest = skip_blanks(s + 1);
    return rest >= end || (*rest && strchr("#\r\n", *rest)) ? s : NULL;
}

/* What a backslash and this character stand for between these quotes; 0: for themselves. */
static char meaning(char ch, char quote)
{
    if (ch == quote)
        return ch;
    const char *escapes = "\\\\$$``n\nr\rt\t",
               *at = quote == '"' && ch ? strchr(escapes, ch) : NULL;
    if (at && (at - escapes) % 2 == 0) /* the first of a pair */
        return at[1];
    return 0;
}

/* Unescapes what is between the quotes, in place. Returns its end. */
static char *unquote(char *value, const char *closing)
{
    char *to = value, quote = *value;
    for (const char *s = value + 1; s < closing; s++) {
        char means = 0;
        if (*s == '\\')
            means = meaning(s[1], quote);
        if (means) {
            *to++ = means;
            s++;
        } else {
            *to++ = *s;
        }
    }
    return to;
}

/* The end of a value without quotes: before its comment, and the blanks before that. */
static char *end_of_bare(char *value, const char *line_end)
{
    char *s = value;
    while (s < line_end && !(*s == '#' && (s[-1] == ' ' || s[-1] == '\t')))
        s++;
    while (s > value && s[-1] && strchr(" \t\r", s[-1]))
        s--;
    return s;
}

static int set(struct conf_source *src, int id, char *value, char *value_end)
{
    for (const char *s = value; s < value_end; s++)
        if (((unsigned char)*s < 0x20 && *s != '\t') || *s == 0x7f)
            return conf_fail(src->error,
                             "%.200s:%u: the value of %s contains the control character 0x%02x; "
                             "remove it",
                             src->name, src->line, conf_table[id].env, (unsigned)(unsigned char)*s);
    *value_end = '\0';
    return conf_set_once(src, id, conf_table[id].env, value);
}

static unsigned count_lines(const char *s, const char *end)
{
    unsigned n = 0;
    for (; (s = memchr(s, '\n', (size_t)(end - s))); s++)
        n++;
    return n;
}

/* Reads the entry that begins at a line. Returns the end of that line, or of the one with the
 * closing quote; NULL after an error. */
static char *entry(struct conf_source *src, char *line, char *end)
{
    char *line_end = end_of_line(line, end), *name = skip_blanks(line);
    if (strncmp(name, "export", 6) == 0 && (name[6] == ' ' || name[6] == '\t'))
        name = skip_blanks(name + 6);
    size_t n = strspn(name, NAME_CHARS);
    int id = find_name(name, n);
    char *value = skip_blanks(name + n);
    if (*value != '=') {
        bool ours = id >= 0 && strchr("#\r\n", *value);
        return ours && conf_fail_at(src, "expected NAME=value; a comment starts with #") ? NULL
                                                                                         : line_end;
    }
    value = skip_blanks(value + 1);
    bool quoted = *value && strchr("'\"`", *value);
    char *closing = quoted ? find_closing(value, end) : NULL;
    if (closing)
        line_end = end_of_line(closing, end);
    if (id < 0)
        return line_end;
    if (quoted && !closing) {
        conf_fail_at(src, "the closing quote is missing, or text follows it; precede a quote in "
                          "the value with \\");
        return NULL;
    }
    char *value_end = closing ? unquote(value, closing) : end_of_bare(value, line_end);
    return set(src, id, value, value_end) < 0 ? NULL : line_end;
}

int conf_load_env_text(struct conf *c, char *text, size_t n, const char *name, struct conf_error *e)
{
    static const char mark[] = "\xef\xbb\xbf"; /* some editors put it in front of UTF-8 */
    struct conf_source src = {.conf = c, .name = name, .error = e, .line = 1};
    char *at = text, *end = text + n;
    *end = '\0';
    if (strncmp(at, mark, 3) == 0)
        at += 3;
    while (at < end) {
        char *next = entry(&src, at, end);
        if (!next)
            return -1;
        src.line += count_lines(at, next) + 1;
        at = next + 1;
    }
    return 0;
}

/* Refuses a file, or a folder of one, that others could have made. */
static int check_trust(const char *path, const char *what, const struct stat *st,
                       struct conf_error *e)
{
    const char *fault = trust_fault(st);
    return fault ? conf_fail(e, "%.200s: %s %s", path, what, fault) : 0;
}

/* The folder, too: its owner could put another user's file there. */
static int check_folder(const char *path, struct conf_error *e)
{
    const char *slash = strrchr(path, '/');
    char *folder = slash ? xstrndup(path, (size_t)(slash - path) + 1) : xstrdup(".");
    struct stat st;
    int result = stat(folder, &st) < 0 ? conf_fail(e, "%.200s: %s", folder, strerror(errno))
                                       : check_trust(path, "its folder", &st, e);
    free(folder);
    return result;
}

static int check_file(int fd, const char *path, struct conf_error *e)
{
    struct stat st;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
        return conf_fail(e, "%.200s: is not a regular file; remove it", path);
    return check_trust(path, "the file", &st, e) < 0 ? -1 : check_folder(path, e);
}

int conf_load_env_file(struct conf *c, const char *path, struct conf_error *e)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | O_NOFOLLOW);
    if (fd < 0 && errno == ENOENT)
        return 0;
    if (fd < 0)
        return conf_fail(e, "%.200s: %s", path,
                         errno == ELOOP ? "is a symbolic link; put the file itself there"
                                        : strerror(errno));
    struct buf text = BUF_INIT;
    int result = check_file(fd, path, e);
    if (result == 0 && conf_read_all(&text, fd, CONF_FILE_MAX) < 0)
        result = conf_fail(e, "%.200s: %s; a file of at most %d bytes is expected", path,
                           strerror(errno), CONF_FILE_MAX);
    close(fd);
    /* conf_read_all() has reserved one byte more than the file may have. */
    if (result == 0 && buf_len(&text) > 0)
        result = conf_load_env_text(c, (char *)buf_head(&text), buf_len(&text), path, e);
    buf_wipe(&text);
    return result;
}

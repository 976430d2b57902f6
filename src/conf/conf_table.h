/* Shared by the files of src/conf: the rows of the table, values, errors. */
#ifndef CONF_TABLE_H
#define CONF_TABLE_H

#include "conf.h"

enum conf_type {
    CONF_T_STRING,
    CONF_T_SECRET,
    CONF_T_ENUM,
    CONF_T_INT,
    CONF_T_SIZE,
    CONF_T_DURATION,
};

enum {
    CONF_LINE_MAX = 4096,
    /* With each byte escaped, a value of this length and its key still fit one line of a dump. */
    CONF_VALUE_MAX = 2000,
    CONF_WORDS_MAX = 5, /* words of an ENUM key, and a NULL */
    CONF_FILE_MAX = 256 * 1024,
};

struct conf_key {
    const char *name;
    enum conf_type type;
    size_t offset; /* of the member in struct conf */
    const char *preset;
    long long min, max;
    const char *words[CONF_WORDS_MAX];
    unsigned flags;
    const char *env;
    const char *help;
};

extern const struct conf_key conf_table[CONF_KEY_COUNT];

/* The index of a key by its name or by its environment variable, or -1. */
int conf_find(const char *name);
int conf_find_env(const char *name);

/* As conf_set(), for a key that was found. */
int conf_set_id(struct conf *c, int id, const char *value, const char *where, struct conf_error *e);

/* As conf_set_id(), for a value from a source: of a secret and its file the later wins. */
int conf_set_source(struct conf *c, int id, const char *value, const char *where,
                    struct conf_error *e);

/* Is this a secret with a value, or with a file that holds it? */
bool conf_has_secret(const struct conf *c, int id);

/* Formats the error and returns -1. */
int conf_fail(struct conf_error *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Where the key got its value from, for messages. */
const char *conf_place(const struct conf *c, int id);

/* Opens a file for reading; -1 with errno and an error text that starts with prefix. A file with
 * any of the permissions in closed (S_IROTH, S_IWOTH) is refused. */
int conf_open_file(const char *path, unsigned closed, const char *prefix, struct conf_error *e);

/* Reads a file of at most max bytes into out, without leaving copies; -1 with an error text that
 * starts with prefix. closed: as in conf_open_file(). */
struct conf_read {
    size_t max;
    unsigned closed;
    const char *prefix;
};
int conf_read_file(struct buf *out, const char *path, struct conf_read how, struct conf_error *e);

/* Reads all that is left of a file, at most max bytes, which are reserved at once; -1 with errno.
 */
int conf_read_all(struct buf *out, int fd, size_t max);

/* A text with a line for each key, while it is read. */
struct conf_source {
    struct conf *conf;
    const char *name;
    bool own_keys; /* conf_take_secrets(): the keys of tokens are named by other sources */
    unsigned line;
    unsigned seen[CONF_KEY_COUNT]; /* the line that set the key, 0 for none */
    struct conf_error *error;
};

/* Says what is wrong in the line that is read. Returns -1. */
int conf_fail_at(struct conf_source *src, const char *what);

/* Sets a key, called as the text does, unless the text has set it already. id: -1 for a key that is
 * not known. */
int conf_set_once(struct conf_source *src, int id, const char *key, const char *value);

/* Fills in jwt_public_key from the file that is to be read instead, if there is one. */
int conf_read_public_keys(struct conf *c, struct conf_error *e);

/* Text to number and back, for INT, SIZE and DURATION: "64k", "10s". False for anything else. */
bool conf_parse_number(enum conf_type type, const char *text, long long *number);
void conf_format_number(enum conf_type type, long long number, char out[32]);

/* What the key accepts, for an error: "an integer from 0 to 65535". */
void conf_describe(const struct conf_key *key, char *out, size_t size);

/* The known key nearest to a mistyped one, or NULL when none is near. */
const char *conf_nearest(const char *name);

#endif

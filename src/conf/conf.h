/*
 * The configuration: one member per key, filled from files, environment and command line.
 *
 * Later settings win, so the caller's order of calls is the precedence: conf_init(),
 * conf_load_file(), conf_load_env_file(), conf_load_environment(), conf_set_option(), then
 * conf_finish(). That is the master's part; broker, auth and signer receive a conf_dump() over a
 * descriptor and only call conf_init() and conf_load_text().
 *
 * It refuses every key, value and line that it does not understand; the error names the place, the
 * fault and the remedy, and never contains a secret.
 */
#ifndef CONF_H
#define CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

struct buf;

/* Who receives a key; a bit mask. */
enum {
    CONF_MASTER = 1 << 0,
    CONF_SESSION = 1 << 1,
    CONF_BROKER = 1 << 2,
    CONF_AUTH = 1 << 3,
    CONF_SIGNER = 1 << 4,
    CONF_EXPORTER = 1 << 5,
    CONF_RELOADABLE = 1 << 6, /* not a role: a reload may change the key */
};

/* The values of the ENUM keys, in the order of their words in the table. */
enum conf_mode { CONF_PRODUCTION, CONF_DEVELOPMENT };
enum conf_presence { CONF_PRESENCE_ALL, CONF_PRESENCE_CONTACTS, CONF_PRESENCE_OFF };
enum conf_switch { CONF_OFF, CONF_ON }; /* audit, web_client and others */
/* log_level, log_format: the enums of log.h. */

/* An index for each key: CONF_K_port and so on. */
enum conf_id {
#define KEY(type, name, ...) CONF_K_##name,
#include "conf_keys.h"
    CONF_KEY_COUNT
};

#define CONF_C_STRING   const char *
#define CONF_C_SECRET   const char *
#define CONF_C_ENUM     int
#define CONF_C_INT      int
#define CONF_C_SIZE     size_t    /* bytes */
#define CONF_C_DURATION long long /* milliseconds */

/* Strings are owned by the configuration and never NULL between conf_init() and conf_free(). */
struct conf {
#define KEY(type, name, ...) CONF_C_##type name;
#include "conf_keys.h"
    char *where[CONF_KEY_COUNT]; /* owned; which line set the key, NULL for a default */
};

struct conf_error {
    char text[512];
};

/* Sets every key to its default. */
void conf_init(struct conf *c);

/* Frees everything, secrets overwritten first. The structure needs conf_init() before its next use.
 */
void conf_free(struct conf *c);

/* The functions below return 0, or -1 with an error text; the keys set before it stay set. */

/* Sets one key from text. where is the first word of an error: "chatd.conf:12", "-o". */
int conf_set(struct conf *c, const char *key, const char *value, const char *where,
             struct conf_error *e);

/* Sets one key from "key=value", the argument of -o. */
int conf_set_option(struct conf *c, const char *argument, struct conf_error *e);

/* Does this argument of -o set a secret? */
bool conf_option_is_secret(const char *argument);

/* Reads lines of the form key = value from a file, or from n bytes of text that errors call name.
 */
int conf_load_file(struct conf *c, const char *path, struct conf_error *e);
int conf_load_text(struct conf *c, const char *text, size_t n, const char *name,
                   struct conf_error *e);

/* Reads the table's variables from a .env, whose NAME=value lines other programs share: skips
 * whatever is not in the table, in any form. A missing file is no error; one that another user
 * could have put there or written to is refused (trust.h). */
int conf_load_env_file(struct conf *c, const char *path, struct conf_error *e);

/* The same from n bytes of text, which is overwritten and has room for one byte more. */
int conf_load_env_text(struct conf *c, char *text, size_t n, const char *name,
                       struct conf_error *e);

/* Takes the variables of the table from the environment. */
int conf_load_environment(struct conf *c, struct conf_error *e);

/* Overwrites the secrets in the environment and removes them: forked children must not find them,
 * nor /proc show them. A reload does not see them again. */
void conf_wipe_environment(void);

/* Reads the secrets that are kept in files of their own, and checks what involves several keys.
 * To be called once, after everything was set. */
int conf_finish(struct conf *c, struct conf_error *e);

/* Puts what the file db_password_file holds now in the place of db_password. */
int conf_read_password(struct conf *c, const char *path, struct conf_error *e);

/* The checks of conf_finish() that need no secrets, for a reload. Reads the public keys. */
int conf_check(struct conf *c, struct conf_error *e);

/* Reports what is wrong with a key's value, and where it was set: "chatd.conf:12: listen: ...".
 * Returns -1. */
int conf_fault(const struct conf *c, enum conf_id id, struct conf_error *e, const char *fmt, ...)
    __attribute__((format(printf, 4, 5)));

/* Opens the file that a key names for reading. private refuses a file that every user may read or
 * write. The descriptor, for the caller to close, or -1. */
int conf_open(const struct conf *c, enum conf_id id, const char *path, bool private,
              struct conf_error *e);

/* An address to listen on, as an entry of listen gives it. */
struct conf_address {
    bool tls;
    char path[108]; /* of a Unix socket; empty: an address of IP */
    char host[64];  /* numeric; empty: all addresses */
    char port[8];   /* empty: that of the key port */
};

/* Reads the next entry; *rest is c->listen at first, and what is left of it after each. 1, 0 at the
 * end, or -1 with an error. */
int conf_next_address(const struct conf *c, const char **rest, struct conf_address *a,
                      struct conf_error *e);

/* Reads admin_listen: 1, 0 if it is empty, or -1 with an error. An address of IP has its port. */
int conf_admin_address(const struct conf *c, struct conf_address *a, struct conf_error *e);

/* Will the server listen for TLS, according to the configuration? */
bool conf_wants_tls(const struct conf *c);

/* The highest cost of a stored hash that is computed: 16 times the time of a new one, but never
 * more than the highest bcrypt_cost takes. */
int conf_bcrypt_most(const struct conf *c);

/* How many clients a limit of one address, or one user, allows: -1 is a quarter of max_clients, and
 * no fewer than a household needs; 0: no limit. */
int conf_clients_most(const struct conf *c, int limit);

/* The warning of this number, from 0 on, about a setting that is accepted but not advisable; NULL
 * after the last. Call it before conf_wipe_secrets(). */
const char *conf_warning(const struct conf *c, unsigned number);

/* Overwrites and forgets each secret; they read as empty afterwards. */
void conf_wipe_secrets(struct conf *c);

/* Takes over from fresh the keys that a reload may change. The names of the others that differ are
 * appended to fixed, separated by ", ": they need a restart. Secrets are not compared. */
void conf_reload(struct conf *running, const struct conf *fresh, struct buf *fixed);

/* Appends, as lines that conf_load_text() reads back, the keys that any of the roles receives. The
 * broker's contains the secrets: buf_wipe() it, and reserve CONF_DUMP_MAX bytes first, lest a
 * growing buffer leave copies behind. */
enum { CONF_DUMP_MAX = 64 * 1024 };
void conf_dump(const struct conf *c, struct buf *out, unsigned roles);

/* Reads the dump in the file behind fd into out; false if it cannot be one. Keeps the offset of fd,
 * which several processes share. The caller wipes out. */
bool conf_read_dump(struct buf *out, int fd);

/* Takes from such a dump the secrets that c got neither directly nor from a file. Ignores the rest
 * of it, which another version may have written. */
int conf_take_secrets(struct conf *c, int fd, struct conf_error *e);

/* Prints each key that was set, and where, one a line. */
void conf_print_places(const struct conf *c, FILE *out);

/* Prints name, type and default of each key, separated by tabs, one key a line. */
void conf_print_keys(FILE *out);

#endif

/* The table of keys, made of the rows in conf_keys.h; see conf_table.h. */
#include "conf_table.h"

#include <stddef.h>

/* The words that the table's rows are written in. */
enum {
    MASTER = CONF_MASTER,
    SESSION = CONF_SESSION,
    BROKER = CONF_BROKER,
    AUTH = CONF_AUTH,
    SIGNER = CONF_SIGNER,
    ALL = CONF_MASTER | CONF_SESSION | CONF_BROKER | CONF_AUTH | CONF_SIGNER | CONF_EXPORTER,
    RELOAD = CONF_RELOADABLE,
};
#define KIB    1024LL
#define MIB    (1024 * KIB)
#define SECOND 1000LL
#define MINUTE (60 * SECOND)
#define HOUR   (3600 * SECOND)
#define DAY    (24 * HOUR)

#define RANGE(least, most) .min = (least), .max = (most)
#define WORDS(...)         .words = {__VA_ARGS__, NULL}
#define ANY                .min = 0

const struct conf_key conf_table[CONF_KEY_COUNT] = {
#define KEY(kind, key, text, bounds, roles, variable, line)                                        \
    [CONF_K_##key] = {.name = #key,                                                                \
                      .type = CONF_T_##kind,                                                       \
                      .offset = offsetof(struct conf, key),                                        \
                      .preset = (text),                                                            \
                      .flags = (roles),                                                            \
                      .env = (variable),                                                           \
                      .help = (line),                                                              \
                      bounds},
#include "conf_keys.h"
};

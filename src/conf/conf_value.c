/*
 * Values as text: numbers with units, what a key accepts, and which key a typing error meant.
 *
 * Strict where a guess could hurt: no sign, fraction, blank or unit that the manual does not name.
 */
#include "conf_table.h"

#include <ctype.h>
#include <limits.h>
#include <string.h>

#include "log.h"

struct unit {
    const char *suffix;
    long long factor;
};

/* Largest first: a number is written in the largest unit that loses nothing. */
static const struct unit plain[] = {{"", 1}, {NULL, 0}};
static const struct unit sizes[] = {{"M", 1024LL * 1024}, {"k", 1024}, {"", 1}, {NULL, 0}};
/* The bare number, seconds, comes last: it is read but never written. */
static const struct unit durations[] = {{"d", 86400000}, {"h", 3600000}, {"m", 60000}, {"s", 1000},
                                        {"ms", 1},       {"", 1000},     {NULL, 0}};

static const struct unit *units_of(enum conf_type type)
{
    return type == CONF_T_SIZE ? sizes : type == CONF_T_DURATION ? durations : plain;
}

bool conf_parse_number(enum conf_type type, const char *text, long long *number)
{
    bool negative = type == CONF_T_INT && *text == '-';
    if (negative)
        text++;
    if (!isdigit((unsigned char)*text))
        return false;
    long long n = 0;
    for (; isdigit((unsigned char)*text); text++)
        if (__builtin_mul_overflow(n, 10, &n) || __builtin_add_overflow(n, *text - '0', &n))
            return false;
    const struct unit *u = units_of(type);
    while (u->suffix && strcmp(u->suffix, text) != 0)
        u++;
    if (!u->suffix || __builtin_mul_overflow(n, u->factor, &n))
        return false;
    *number = negative ? -n : n;
    return true;
}

void conf_format_number(enum conf_type type, long long number, char out[32])
{
    const struct unit *u = units_of(type);
    while (number % u->factor != 0)
        u++;
    snprintf(out, 32, "%lld%s", number / u->factor, number == 0 ? "" : u->suffix);
}

static void describe_words(const struct conf_key *key, char *out, size_t size)
{
    size_t n = (size_t)snprintf(out, size, "one of");
    for (size_t i = 0; key->words[i] && n < size; i++)
        n += (size_t)snprintf(out + n, size - n, "%s %s", i ? "," : "", key->words[i]);
}

void conf_describe(const struct conf_key *key, char *out, size_t size)
{
    if (key->type == CONF_T_ENUM) {
        describe_words(key, out, size);
        return;
    }
    char min[32], max[32];
    conf_format_number(key->type, key->min, min);
    conf_format_number(key->type, key->max, max);
    if (key->type == CONF_T_SIZE)
        snprintf(out, size, "a size from %s to %s: bytes, or a number with k or M", min, max);
    else if (key->type == CONF_T_DURATION)
        snprintf(out, size, "a duration from %s to %s: seconds, or a number with ms, s, m, h or d",
                 min, max);
    else
        snprintf(out, size, "an integer from %s to %s", min, max);
}

enum { NAME_MAX_LEN = 40 };

static size_t least(size_t a, size_t b)
{
    return a < b ? a : b;
}

static int lower(char ch)
{
    return tolower((unsigned char)ch);
}

/* Levenshtein's distance, where letter case is ignored and two letters swapped count as one error;
 * both names are shorter than NAME_MAX_LEN. */
static size_t distance(const char *a, const char *b)
{
    size_t m = strlen(a), n = strlen(b), d[NAME_MAX_LEN][NAME_MAX_LEN];
    for (size_t i = 0; i <= m; i++)
        d[i][0] = i;
    for (size_t j = 0; j <= n; j++)
        d[0][j] = j;
    for (size_t i = 1; i <= m; i++)
        for (size_t j = 1; j <= n; j++) {
            bool differ = lower(a[i - 1]) != lower(b[j - 1]);
            d[i][j] = least(least(d[i - 1][j], d[i][j - 1]) + 1, d[i - 1][j - 1] + differ);
            if (i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) &&
                lower(a[i - 2]) == lower(b[j - 1]))
                d[i][j] = least(d[i][j], d[i - 2][j - 2] + 1);
        }
    return d[m][n];
}

const char *conf_nearest(const char *name)
{
    size_t n = strlen(name);
    if (n >= NAME_MAX_LEN)
        return NULL;
    /* One error in three letters: further off, a suggestion only misleads. */
    size_t best = n / 3 + 1;
    const char *nearest = NULL;
    for (size_t i = 0; i < CONF_KEY_COUNT; i++) {
        size_t d = distance(name, conf_table[i].name);
        if (d < best) {
            best = d;
            nearest = conf_table[i].name;
        }
    }
    return nearest;
}

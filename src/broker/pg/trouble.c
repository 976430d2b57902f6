/* Trouble with the database; see trouble.h. */
#include "trouble.h"

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include "clock.h"
#include "log.h"

enum { SAY_AGAIN_MS = 300000 };

static char said[LOG_LINE];
static int64_t said_at;

static bool is_news(const char *line)
{
    if (strcmp(line, said) == 0 && clock_ms() - said_at < SAY_AGAIN_MS)
        return false;
    snprintf(said, sizeof(said), "%s", line);
    said_at = clock_ms();
    return true;
}

void trouble_over(void)
{
    *said = '\0';
}

/* What to do about a refused connection, by SQLSTATE. */
static const char *remedy_of_state(const char *state)
{
    static const struct {
        char state[6];
        const char *remedy;
    } table[] = {
        {"28P01", "give the password of db_user in db_password_file"},
        {"28000", "see db_user, and in pg_hba.conf how it may connect from here; a role that has "
                  "not the name of the system's user needs a password, and scram-sha-256 there"},
        {"3D000", "see db_name; make the database with encoding UTF8, and run sql/migrate"},
        {"42501", "run sql/migrate --role NAME with the name in db_user"},
        {"53300", "lower db_readers, or raise max_connections or the role's connection limit"},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
        if (strncmp(state, table[i].state, 5) == 0)
            return table[i].remedy;
    return "see db_host and db_port";
}

/* Points to the SQLSTATE in the report, after the severity, which may be in any language; to an
 * empty string if there is none. */
static const char *state_in(const char *why)
{
    static const char digits[] = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ";
    for (const char *at = why; (at = strstr(at, ":  ")); at += 3)
        if (strspn(at + 3, digits) == 5 && at[8] == ':')
            return at + 3;
    return "";
}

bool trouble_tell(const char *connection, const char *what, const char *why, bool connecting)
{
    const char *state = connecting ? state_in(why) : "";
    char line[LOG_LINE];
    snprintf(line, sizeof(line), "%s: %.*s%s%s", what, (int)strcspn(why, "\n"), why,
             connecting ? "; " : "", connecting ? remedy_of_state(state) : "");
    if (is_news(line))
        log_warn("database connection \"%s\": %s", connection, line);
    return strncmp(state, "28", 2) == 0; /* invalid authorization */
}

void trouble_error(const char *fmt, ...)
{
    char line[LOG_LINE];
    va_list arguments;
    va_start(arguments, fmt);
    vsnprintf(line, sizeof(line), fmt, arguments);
    va_end(arguments);
    if (is_news(line))
        log_error("%s", line);
}

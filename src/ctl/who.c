/* chatctl who and kick: the connections of this host, as its brokers see them. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <time.h>

#include "commands.h"
#include "done.h"
#include "grid.h"
#include "inquiry.h"

enum { WATCH_S = 2 };

static const struct grid_column columns[] = {{"session", GRID_NUMBER}, {"user", GRID_TEXT},
                                             {"user_id", GRID_NUMBER}, {"state", GRID_TEXT},
                                             {"address", GRID_TEXT},   {"age", GRID_NUMBER},
                                             {"queue", GRID_NUMBER},   {"server", GRID_NUMBER}};

static struct grid rows;
static const char *only; /* this user; NULL: all */
static int kicked;

static const char *known(const char *word)
{
    return strcmp(word, "-") == 0 ? NULL : word;
}

/* A number of another program's, so that JSON is JSON whatever it says. */
static void put_number(const char *word, int64_t unit)
{
    grid_printf(&rows, "%" PRId64, (int64_t)strtoll(word, NULL, 10) / unit);
}

/* session PID USER NAME STATE ADDRESS AGE QUEUED */
static void take_session(int pid, char **words)
{
    enum { SESSION = 1, USER, NAME, STATE, ADDRESS, AGE, QUEUED };
    for (int i = 0; i <= QUEUED; i++)
        if (!words[i])
            return;
    if (strcmp(words[0], "session") != 0 || (only && strcasecmp(only, words[NAME]) != 0))
        return;
    put_number(words[SESSION], 1);
    grid_put(&rows, known(words[NAME]));
    if (strcmp(words[USER], "0") == 0)
        grid_put(&rows, NULL);
    else
        put_number(words[USER], 1);
    grid_put(&rows, words[STATE]);
    grid_put(&rows, known(words[ADDRESS]));
    put_number(words[AGE], 1000);
    put_number(words[QUEUED], 1);
    grid_printf(&rows, "%d", pid);
}

static int show(void)
{
    grid_init(&rows, columns, sizeof(columns) / sizeof(columns[0]));
    int answered = inquiry_all("who", take_session);
    if (!ctl.json && ctl.watch)
        fputs("\033[H\033[2J", stdout);
    if (answered > 0)
        grid_print(&rows, ctl.json);
    grid_free(&rows);
    return answered;
}

enum ctl_status who_run(char **words)
{
    only = words[0];
    int answered = show();
    while (ctl.watch && answered > 0) {
        nanosleep(&(struct timespec){.tv_sec = WATCH_S}, NULL);
        answered = show();
    }
    if (answered == 0)
        inquiry_none();
    return CTL_DONE;
}

/* --- kick --- */

static void take_kicked(int pid, char **words)
{
    (void)pid;
    if (strcmp(words[0], "kicked") != 0 || !words[1])
        return;
    done_put("session", words[1], "closed");
    kicked++;
}

static enum ctl_status kick(const char *kind, const char *name)
{
    char request[96];
    if (strlen(name) > 32 || strpbrk(name, " \t\n"))
        ctl_fail(CTL_UNKNOWN, "no connection of \"%s\" is online here", name);
    snprintf(request, sizeof(request), "kick %s %s", kind, name);
    if (inquiry_all(request, take_kicked) == 0)
        inquiry_none();
    done_end();
    if (kicked == 0)
        ctl_fail(CTL_UNKNOWN, "no connection of %s %s is online here; chatctl who lists them", kind,
                 name);
    return CTL_DONE;
}

enum ctl_status kick_user(char **words)
{
    return kick("user", words[0]);
}

enum ctl_status kick_session(char **words)
{
    size_t n = strlen(words[0]);
    if (n == 0 || n > 9 || strspn(words[0], "0123456789") != n)
        ctl_fail(CTL_USAGE, "\"%s\" is no number of a session; chatctl who lists them", words[0]);
    return kick("session", words[0]);
}

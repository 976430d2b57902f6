/*
 * chat: a client of chatd for the terminal and for scripts. This file reads the command line, finds
 * server and token, and calls the command, see verbs.h; or opens the window, see window.h.
 */
#include <getopt.h>
#include <limits.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "log.h"
#include "login.h"
#include "process.h"
#include "program.h"
#include "request.h"
#include "show.h"
#include "verbs.h"
#include "version.h"
#include "window.h"

/* The long options, none of which has a letter but those below. */
enum {
    ADMIN = 1,
    AFTER,
    ALL,
    BEFORE,
    CA_FILE,
    CURSOR,
    EMAIL,
    HISTORY,
    LIMIT,
    LINES,
    LOCAL,
    NOW,
    WAIT
};

static const struct option options[] = {
    {"admin", no_argument, NULL, ADMIN},
    {"after", required_argument, NULL, AFTER},
    {"all", no_argument, NULL, ALL},
    {"before", required_argument, NULL, BEFORE},
    {"ca-file", required_argument, NULL, CA_FILE},
    {"cursor", required_argument, NULL, CURSOR},
    {"email", required_argument, NULL, EMAIL},
    {"help", no_argument, NULL, 'h'},
    {"history", required_argument, NULL, HISTORY},
    {"json", no_argument, NULL, 'j'},
    {"limit", required_argument, NULL, LIMIT},
    {"lines", no_argument, NULL, LINES},
    {"local", no_argument, NULL, LOCAL},
    {"now", no_argument, NULL, NOW},
    {"server", required_argument, NULL, 's'},
    {"version", no_argument, NULL, 'V'},
    {"wait", required_argument, NULL, WAIT},
    {0},
};

/* Options that only some commands take, as a set. */
enum takes {
    T_ADMIN = 1 << 0,
    T_ALL = 1 << 1,
    T_BOUNDS = 1 << 2, /* --after, --before, --limit */
    T_EMAIL = 1 << 3,
    T_HISTORY = 1 << 4,
    T_JSON = 1 << 5,
    T_LOCAL = 1 << 6,
    T_SEND = 1 << 7,     /* --lines, --wait */
    T_TAIL = 1 << 8,     /* --cursor, --now */
    T_NO_TOKEN = 1 << 9, /* no option, but needs no login */
};

static const struct command {
    const char *words[2];
    int least, most; /* arguments behind them */
    unsigned takes;
    void (*run)(const struct login *l, char **words);
    const char *arguments, *help;
} commands[] = {
    {{"register"},
     1,
     1,
     T_EMAIL | T_NO_TOKEN,
     account_register,
     "--email address name",
     "make an account, and log in"},
    {{"login"}, 1, 1, T_NO_TOKEN, account_login, "name", "log in"},
    {{"logout"}, 0, 0, T_LOCAL, account_logout, "[--local]", "log out everywhere"},
    {{"whoami"}, 0, 0, T_JSON, account_whoami, "[-j]", "say who is logged in"},
    {{"send"},
     1,
     2,
     T_JSON | T_SEND,
     send_run,
     "[-j] [--lines] [--wait s] whom [text]",
     "send a message"},
    {{"tail"},
     0,
     1,
     T_JSON | T_TAIL,
     tail_run,
     "[-j] [--now] [--cursor file] [whom]",
     "show what happens, as it happens"},
    {{"history"},
     1,
     1,
     T_ALL | T_BOUNDS | T_JSON,
     history_run,
     "[-j] [--all] [--limit n] [--after id] [--before id] whom",
     "show messages"},
    {{"who"}, 0, 0, T_ALL | T_JSON, listing_users, "[-j] [--all]", "list who is online"},
    {{"list"}, 0, 0, T_JSON, listing_conversations, "[-j]", "list conversations"},
    {{"group", "create"},
     1,
     1001,
     T_HISTORY | T_JSON,
     group_create,
     "[-j] [--history all] name [user ...]",
     "make a group"},
    {{"group", "invite"},
     2,
     1001,
     T_ADMIN,
     group_invite,
     "[--admin] group user ...",
     "add members"},
    {{"group", "leave"}, 1, 1, 0, group_leave, "group", "leave a group"},
    {{"group", "rename"}, 2, 2, 0, group_rename, "group name", "give a group another name"},
    {{"group", "members"}, 1, 1, T_JSON, listing_members, "[-j] group", "list the members"},
};
enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static unsigned given; /* of enum takes */

static void print_usage(FILE *out)
{
    fputs("usage: chat [-hV] [-s server] [--ca-file file] [command | whom]\n", out);
    for (const struct command *c = commands; c < commands + COMMANDS; c++) {
        char line[100];
        snprintf(line, sizeof(line), "%s%s%s %s", c->words[0], c->words[1] ? " " : "",
                 c->words[1] ? c->words[1] : "", c->arguments);
        fprintf(out, "  %-50s  %s\n", line, c->help);
    }
    fputs("whom: a user, or a group as '#name' in quotes; without a command a window opens\n", out);
}

static void __attribute__((noreturn)) refuse_usage(void)
{
    print_usage(stderr);
    exit(CHAT_USAGE);
}

static int64_t number(const char *name, const char *text, int64_t least, int64_t most)
{
    size_t n = strlen(text);
    int64_t value =
        n > 0 && n <= 18 && strspn(text, "0123456789") == n ? strtoll(text, NULL, 10) : -1;
    if (value < least || value > most)
        program_fail(CHAT_USAGE, "--%s: \"%s\" is no number from %lld to %lld", name, text,
                     (long long)least, (long long)most);
    return value;
}

/* Options that every command takes; false for another. */
static bool take_common(int c)
{
    switch (c) {
    case 's':
        program.server = optarg;
        return true;
    case CA_FILE:
        program.ca_file = optarg;
        return true;
    case 'h':
        print_usage(stdout);
        exit(CHAT_DONE);
    case 'V':
        printf("chat %s\n", CHATD_VERSION);
        exit(CHAT_DONE);
    default:
        return false;
    }
}

static const struct own {
    int option;
    unsigned takes;
    bool *flag;
    const char **text;
    int64_t *number;
    int64_t least, most;
    const char *name;
} own[] = {
    {ADMIN, T_ADMIN, &program.admin, NULL, NULL, 0, 0, NULL},
    {ALL, T_ALL, &program.all, NULL, NULL, 0, 0, NULL},
    {'j', T_JSON, &program.json, NULL, NULL, 0, 0, NULL},
    {LINES, T_SEND, &program.lines, NULL, NULL, 0, 0, NULL},
    {LOCAL, T_LOCAL, &program.local, NULL, NULL, 0, 0, NULL},
    {NOW, T_TAIL, &program.now, NULL, NULL, 0, 0, NULL},
    {CURSOR, T_TAIL, NULL, &program.cursor_file, NULL, 0, 0, NULL},
    {EMAIL, T_EMAIL, NULL, &program.email, NULL, 0, 0, NULL},
    {HISTORY, T_HISTORY, NULL, &program.history, NULL, 0, 0, NULL},
    {AFTER, T_BOUNDS, NULL, NULL, &program.after, 0, INT64_MAX, "after"},
    {BEFORE, T_BOUNDS, NULL, NULL, &program.before, 0, INT64_MAX, "before"},
    {LIMIT, T_BOUNDS, NULL, NULL, &program.limit, 1, 100, "limit"},
    {WAIT, T_SEND, NULL, NULL, &program.wait, 0, 86400, "wait"},
};

static void take(int c)
{
    const struct own *o = own;
    while (o < own + sizeof(own) / sizeof(own[0]) && o->option != c)
        o++;
    if (o == own + sizeof(own) / sizeof(own[0]))
        refuse_usage();
    given |= o->takes;
    if (o->flag)
        *o->flag = true;
    if (o->text)
        *o->text = optarg;
    if (o->number)
        *o->number = number(o->name, optarg, o->least, o->most);
}

static bool is_command(const char *word)
{
    for (const struct command *c = commands; c < commands + COMMANDS; c++)
        if (strcmp(word, c->words[0]) == 0)
            return true;
    return false;
}

/* A window, for all that is no command, and for people only. */
static bool is_window(char **words, int count)
{
    if (count > 1 || (count == 1 && is_command(words[0])) || given)
        return false;
    if (window_possible())
        return true;
    program_note("the window needs a terminal");
    refuse_usage();
}

static const struct command *find(char **words, int count)
{
    for (const struct command *c = commands; c < commands + COMMANDS; c++) {
        int n = c->words[1] ? 2 : 1;
        if (count >= n && strcmp(words[0], c->words[0]) == 0 &&
            (n == 1 || strcmp(words[1], c->words[1]) == 0)) {
            if (count - n < c->least || count - n > c->most || (given & ~c->takes))
                refuse_usage();
            return c;
        }
    }
    refuse_usage();
}

/* Who logs in anew shows no token; everybody else needs one. */
static void check_login(unsigned takes, struct login *l)
{
    if (takes & T_NO_TOKEN) {
        free(l->token);
        l->token = NULL;
    } else if (!l->token) {
        program_fail(CHAT_DENIED, "you are not logged in at %s (chat login)", l->server);
    }
}

/* From here on there is a server, and if need be a token. */
static void find_server(unsigned takes, struct login *l)
{
    show_init();
    login_find(l);
    check_login(takes, l);
    request_init(l);
}

static void run_command(char **words, int count)
{
    struct login l;
    const struct command *command = find(words, count);
    find_server(command->takes, &l);
    command->run(&l, words + (command->words[1] ? 2 : 1));
    login_free(&l);
}

static void run_window(char **words)
{
    struct login l;
    find_server(0, &l);
    window_run(words[0]);
    login_free(&l);
}

int main(int argc, char **argv)
{
    int c;
    process_begin();
    signal(SIGPIPE, SIG_IGN);
    setlocale(LC_CTYPE, "C.UTF-8");
    log_init(STDERR_FILENO, log_kind(STDERR_FILENO), LOG_L_ERROR);
    program = (struct program){.after = -1, .before = -1, .limit = 50, .wait = 60};
    while ((c = getopt_long(argc, argv, "hjs:V", options, NULL)) != -1)
        if (!take_common(c))
            take(c);
    if (is_window(argv + optind, argc - optind))
        run_window(argv + optind);
    else
        run_command(argv + optind, argc - optind);
    return CHAT_DONE;
}

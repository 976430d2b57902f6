/*
 * chat: a client of chatd for the terminal and for scripts. This file reads the command line, finds
 * server and token, and calls the command, see verbs.h; or opens the window, see window.h.
 */
#include <getopt.h>
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
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
    struct cli_command line;
    void (*run)(const struct login *l, char **words);
} commands[] = {
    {{{"register"},
      1,
      1,
      T_EMAIL | T_NO_TOKEN,
      "--email address name",
      "make an account, and log in"},
     account_register},
    {{{"login"}, 1, 1, T_NO_TOKEN, "name", "log in"}, account_login},
    {{{"logout"}, 0, 0, T_LOCAL, "[--local]", "log out everywhere"}, account_logout},
    {{{"whoami"}, 0, 0, T_JSON, "[-j]", "say who is logged in"}, account_whoami},
    {{{"send"}, 1, 2, T_JSON | T_SEND, "[-j] [--lines] [--wait s] whom [text]", "send a message"},
     send_run},
    {{{"tail"},
      0,
      1,
      T_JSON | T_TAIL,
      "[-j] [--now] [--cursor file] [whom]",
      "show what happens, as it happens"},
     tail_run},
    {{{"history"},
      1,
      1,
      T_ALL | T_BOUNDS | T_JSON,
      "[-j] [--all] [--limit n] [--after id] [--before id] whom",
      "show messages"},
     history_run},
    {{{"who"}, 0, 0, T_ALL | T_JSON, "[-j] [--all]", "list who is online"}, listing_users},
    {{{"list"}, 0, 0, T_JSON, "[-j]", "list conversations"}, listing_conversations},
    {{{"group", "create"},
      1,
      1001,
      T_HISTORY | T_JSON,
      "[-j] [--history all] name [user ...]",
      "make a group"},
     group_create},
    {{{"group", "invite"}, 2, 1001, T_ADMIN, "[--admin] group user ...", "add members"},
     group_invite},
    {{{"group", "leave"}, 1, 1, 0, "group", "leave a group"}, group_leave},
    {{{"group", "rename"}, 2, 2, 0, "group name", "give a group another name"}, group_rename},
    {{{"group", "members"}, 1, 1, T_JSON, "[-j] group", "list the members"}, listing_members},
};

static const struct cli_option own[] = {
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

static struct cli cli = {
    .program = "chat",
    .usage = "usage: chat [-hV] [-s server] [--ca-file file] [command | whom]\n",
    .notes = "whom: a user, or a group as '#name' in quotes; without a command a window opens\n",
    .commands = commands,
    .command_size = sizeof(commands[0]),
    .command_count = sizeof(commands) / sizeof(commands[0]),
    .options = own,
    .option_count = sizeof(own) / sizeof(own[0]),
};

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
        cli_print_usage(&cli, stdout);
        exit(CHAT_DONE);
    case 'V':
        printf("chat %s\n", CHATD_VERSION);
        exit(CHAT_DONE);
    default:
        return false;
    }
}

/* A window, for all that is no command, and for people only. */
static bool is_window(char **words, int count)
{
    if (count > 1 || (count == 1 && cli_is_command(&cli, words[0])) || cli.given)
        return false;
    if (window_possible())
        return true;
    program_note("the window needs a terminal");
    cli_refuse(&cli);
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
    const struct command *command = (const void *)cli_find(&cli, words, count);
    find_server(command->line.takes, &l);
    command->run(&l, words + cli_words(&command->line));
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
            cli_take(&cli, c);
    if (is_window(argv + optind, argc - optind))
        run_window(argv + optind);
    else
        run_command(argv + optind, argc - optind);
    return CHAT_DONE;
}

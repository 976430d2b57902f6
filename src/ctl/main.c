/*
 * chatctl: what the operator of chatd does. This file reads the command line and the configuration
 * and calls the command; see commands.h.
 */
#include <errno.h>
#include <getopt.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "command.h"
#include "commands.h"
#include "log.h"
#include "places.h"
#include "process.h"
#include "version.h"

/* The long options that have no letter of their own. */
enum { AFTER = 1, CONVERSATIONS, EMAIL, LIMIT, NEW_SECRETS, OWNER, ROOM, SQL };

static const struct option options[] = {
    {"after", required_argument, NULL, AFTER},
    {"conversations", no_argument, NULL, CONVERSATIONS},
    {"dry-run", no_argument, NULL, 'n'},
    {"email", required_argument, NULL, EMAIL},
    {"help", no_argument, NULL, 'h'},
    {"json", no_argument, NULL, 'j'},
    {"limit", required_argument, NULL, LIMIT},
    {"new-secrets", no_argument, NULL, NEW_SECRETS},
    {"owner", required_argument, NULL, OWNER},
    {"room", required_argument, NULL, ROOM},
    {"sql", required_argument, NULL, SQL},
    {"version", no_argument, NULL, 'V'},
    {"watch", no_argument, NULL, 'w'},
    {"yes", no_argument, NULL, 'y'},
    {0},
};

/* Options that only some commands take, as a set. */
enum takes {
    T_PAGE = 1 << 0, /* --after, --limit */
    T_CONVERSATIONS = 1 << 1,
    T_DRY_RUN = 1 << 2,
    T_EMAIL = 1 << 3,
    T_NEW_SECRETS = 1 << 4,
    T_SQL = 1 << 5,
    T_WATCH = 1 << 6,
    T_YES = 1 << 7,
    T_ROOM = 1 << 8,
};

static const struct command {
    struct cli_command line;
    enum ctl_status (*run)(char **words);
} commands[] = {
    {{{"init"},
      0,
      0,
      T_NEW_SECRETS | T_SQL,
      "[--new-secrets]",
      "make role, database, schema, secrets and configuration"},
     init_run},
    {{{"migrate"}, 0, 0, T_DRY_RUN | T_SQL, "[-n]", "bring the schema up to date"}, migrate_run},
    {{{"doctor"}, 0, 0, T_SQL, "", "look for what is wrong, and say what to do"}, doctor_run},
    {{{"status"}, 0, 0, 0, "", "show servers, hosts and database"}, status_run},
    {{{"who"}, 0, 1, T_WATCH, "[-w] [user]", "list the connections of this host"}, who_run},
    {{{"kick", "user"}, 1, 1, 0, "name", "close a user's connections here"}, kick_user},
    {{{"kick", "session"}, 1, 1, 0, "number", "close one connection"}, kick_session},
    {{{"user", "list"}, 0, 1, T_PAGE, "[--after id] [--limit n] [beginning]", "list users"},
     users_list},
    {{{"user", "show"}, 1, 1, 0, "name", "show a user"}, users_show},
    {{{"user", "add"}, 1, 1, T_EMAIL, "--email address name", "add a user"}, users_add},
    {{{"user", "password"}, 1, 1, 0, "name", "give a user a new password"}, users_password},
    {{{"user", "disable"}, 1, 1, 0, "name", "keep a user out"}, users_disable},
    {{{"user", "enable"}, 1, 1, 0, "name", "let a user in again"}, users_enable},
    {{{"user", "logout"}, 1, 1, 0, "name", "void a user's tokens"}, users_logout},
    {{{"user", "delete"},
      1,
      1,
      T_CONVERSATIONS | T_YES,
      "[--conversations] [-y] name",
      "delete a user"},
     users_delete},
    {{{"room", "list"}, 0, 1, T_PAGE, "[--after id] [--limit n] [user]", "list conversations"},
     rooms_list},
    {{{"room", "show"}, 1, 1, 0, "id", "show a conversation"}, rooms_show},
    {{{"room", "delete"}, 1, 1, T_YES, "[-y] id", "delete a conversation"}, rooms_delete},
    {{{"restored"}, 0, 0, 0, "", "after restoring a backup: void what came since"}, restored_run},
    {{{"retention", "show"},
      0,
      0,
      T_PAGE,
      "[--after id] [--limit n]",
      "show how long messages are kept"},
     retention_show},
    {{{"retention", "set"},
      1,
      1,
      T_DRY_RUN | T_ROOM,
      "[-n] [--room id] days",
      "keep messages for so long"},
     retention_set},
};

#define NUMBER_MAX 999999999999999999

static const struct cli_option own[] = {
    {AFTER, T_PAGE, NULL, NULL, &ctl.after, 0, NUMBER_MAX, "after"},
    {LIMIT, T_PAGE, NULL, NULL, &ctl.limit, 0, NUMBER_MAX, "limit"},
    {CONVERSATIONS, T_CONVERSATIONS, &ctl.conversations, NULL, NULL, 0, 0, NULL},
    {'n', T_DRY_RUN, &ctl.dry_run, NULL, NULL, 0, 0, NULL},
    {EMAIL, T_EMAIL, NULL, &ctl.email, NULL, 0, 0, NULL},
    {NEW_SECRETS, T_NEW_SECRETS, &ctl.new_secrets, NULL, NULL, 0, 0, NULL},
    {ROOM, T_ROOM, NULL, &ctl.room, NULL, 0, 0, NULL},
    {SQL, T_SQL, NULL, &ctl.sql, NULL, 0, 0, NULL},
    {'w', T_WATCH, &ctl.watch, NULL, NULL, 0, 0, NULL},
    {'y', T_YES, &ctl.yes, NULL, NULL, 0, 0, NULL},
};

static struct cli cli = {
    .program = "chatctl",
    .usage = "usage: chatctl [-jV] [-f file] [-o key=value] [--owner role] command\n",
    .notes = "",
    .commands = commands,
    .command_size = sizeof(commands[0]),
    .command_count = sizeof(commands) / sizeof(commands[0]),
    .options = own,
    .option_count = sizeof(own) / sizeof(own[0]),
};

static void set_key(const char *argument)
{
    struct conf_error e = {""};
    if (conf_option_is_secret(argument))
        ctl_fail(CTL_USAGE, "-o: a secret on the command line could be read by others; put it into "
                            "a file");
    if (conf_set_option(&ctl.conf, argument, &e) < 0)
        ctl_fail(CTL_USAGE, "%s", e.text);
}

/* Options that every command takes; false for another. */
static bool take_common(int c, bool last)
{
    switch (c) {
    case 'f':
        ctl.file = optarg;
        return true;
    case 'j':
        ctl.json = true;
        return true;
    case 'o':
        if (last) /* over the configuration, which is read in between */
            set_key(optarg);
        return true;
    case OWNER:
        ctl.owner = optarg;
        return true;
    case 'h':
        cli_print_usage(&cli, stdout);
        exit(CTL_DONE);
    case 'V':
        printf("chatctl %s\n", CHATD_VERSION);
        exit(CTL_DONE);
    default:
        return false;
    }
}

static void parse(int argc, char **argv, bool last)
{
    int c;
    optind = 0; /* from the beginning */
    while ((c = getopt_long(argc, argv, "f:hjno:Vwy", options, NULL)) != -1)
        if (!take_common(c, last))
            cli_take(&cli, c);
}

/* Its path goes into the configuration, which chatd reads in another folder. */
static void make_absolute(void)
{
    char *folder = getcwd(NULL, 0), *whole;
    if (!folder || asprintf(&whole, "%s/%s", folder, ctl.file) < 0)
        ctl_fail(CTL_FAILED, "the working directory: %s", strerror(errno));
    free(folder);
    ctl.file = whole;
}

/* As the server reads it, but for .env. */
static void load_conf(bool may_miss)
{
    struct conf_error e = {""};
    conf_init(&ctl.conf);
    bool named = *ctl.file;
    if (!named)
        ctl.file = places_conf();
    else if (*ctl.file != '/')
        make_absolute();
    bool there = *ctl.file && access(ctl.file, F_OK) == 0;
    if (((named && !may_miss) || there) && conf_load_file(&ctl.conf, ctl.file, &e) < 0)
        ctl_fail(CTL_FAILED, "%s", e.text);
    if (conf_load_environment(&ctl.conf, &e) < 0)
        ctl_fail(CTL_FAILED, "%s", e.text);
}

int main(int argc, char **argv)
{
    process_begin();
    setlocale(LC_CTYPE, "C.UTF-8");
    log_init(STDERR_FILENO, log_kind(STDERR_FILENO), LOG_L_ERROR);
    ctl = (struct ctl){.file = "", .sql = "", .owner = "", .email = "", .room = "", .limit = 1000};
    parse(argc, argv, false);
    const struct command *c = (const void *)cli_find(&cli, argv + optind, argc - optind);
    char **words = argv + optind + cli_words(&c->line);
    load_conf(c->run == init_run);
    const char *file = ctl.file;
    parse(argc, argv, true);
    ctl.file = file;
    enum ctl_status status = c->run(words);
    conf_free(&ctl.conf);
    return (int)status;
}

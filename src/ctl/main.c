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
    const char *words[2];
    int least, most; /* arguments behind them */
    unsigned takes;
    enum ctl_status (*run)(char **words);
    const char *arguments, *help;
} commands[] = {
    {{"init"},
     0,
     0,
     T_NEW_SECRETS | T_SQL,
     init_run,
     "[--new-secrets]",
     "make role, database, schema, secrets and configuration"},
    {{"migrate"}, 0, 0, T_DRY_RUN | T_SQL, migrate_run, "[-n]", "bring the schema up to date"},
    {{"doctor"}, 0, 0, T_SQL, doctor_run, "", "look for what is wrong, and say what to do"},
    {{"status"}, 0, 0, 0, status_run, "", "show servers, hosts and database"},
    {{"who"}, 0, 1, T_WATCH, who_run, "[-w] [user]", "list the connections of this host"},
    {{"kick", "user"}, 1, 1, 0, kick_user, "name", "close a user's connections here"},
    {{"kick", "session"}, 1, 1, 0, kick_session, "number", "close one connection"},
    {{"user", "list"},
     0,
     1,
     T_PAGE,
     users_list,
     "[--after id] [--limit n] [beginning]",
     "list users"},
    {{"user", "show"}, 1, 1, 0, users_show, "name", "show a user"},
    {{"user", "add"}, 1, 1, T_EMAIL, users_add, "--email address name", "add a user"},
    {{"user", "password"}, 1, 1, 0, users_password, "name", "give a user a new password"},
    {{"user", "disable"}, 1, 1, 0, users_disable, "name", "keep a user out"},
    {{"user", "enable"}, 1, 1, 0, users_enable, "name", "let a user in again"},
    {{"user", "logout"}, 1, 1, 0, users_logout, "name", "void a user's tokens"},
    {{"user", "delete"},
     1,
     1,
     T_CONVERSATIONS | T_YES,
     users_delete,
     "[--conversations] [-y] name",
     "delete a user"},
    {{"room", "list"},
     0,
     1,
     T_PAGE,
     rooms_list,
     "[--after id] [--limit n] [user]",
     "list conversations"},
    {{"room", "show"}, 1, 1, 0, rooms_show, "id", "show a conversation"},
    {{"room", "delete"}, 1, 1, T_YES, rooms_delete, "[-y] id", "delete a conversation"},
    {{"restored"}, 0, 0, 0, restored_run, "", "after restoring a backup: void what came since"},
    {{"retention", "show"},
     0,
     0,
     T_PAGE,
     retention_show,
     "[--after id] [--limit n]",
     "show how long messages are kept"},
    {{"retention", "set"},
     1,
     1,
     T_DRY_RUN | T_ROOM,
     retention_set,
     "[-n] [--room id] days",
     "keep messages for so long"},
};
enum { COMMANDS = sizeof(commands) / sizeof(commands[0]) };

static unsigned given; /* of enum takes */

static void print_usage(FILE *out)
{
    fputs("usage: chatctl [-jV] [-f file] [-o key=value] [--owner role] command\n", out);
    for (const struct command *c = commands; c < commands + COMMANDS; c++) {
        char line[80];
        snprintf(line, sizeof(line), "%s%s%s %s", c->words[0], c->words[1] ? " " : "",
                 c->words[1] ? c->words[1] : "", c->arguments);
        fprintf(out, "  %-50s %s\n", line, c->help);
    }
}

static void __attribute__((noreturn)) refuse_usage(void)
{
    print_usage(stderr);
    exit(CTL_USAGE);
}

static int64_t number(const char *name, const char *text)
{
    size_t n = strlen(text);
    if (n == 0 || n > 18 || strspn(text, "0123456789") != n)
        ctl_fail(CTL_USAGE, "--%s: \"%s\" is no number from 0 on", name, text);
    return strtoll(text, NULL, 10);
}

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
        print_usage(stdout);
        exit(CTL_DONE);
    case 'V':
        printf("chatctl %s\n", CHATD_VERSION);
        exit(CTL_DONE);
    default:
        return false;
    }
}

static void take(int c)
{
    static const struct {
        int option;
        unsigned takes;
        bool *flag;
        const char **text;
        int64_t *number;
        const char *name;
    } own[] = {
        {AFTER, T_PAGE, NULL, NULL, &ctl.after, "after"},
        {LIMIT, T_PAGE, NULL, NULL, &ctl.limit, "limit"},
        {CONVERSATIONS, T_CONVERSATIONS, &ctl.conversations, NULL, NULL, NULL},
        {'n', T_DRY_RUN, &ctl.dry_run, NULL, NULL, NULL},
        {EMAIL, T_EMAIL, NULL, &ctl.email, NULL, NULL},
        {NEW_SECRETS, T_NEW_SECRETS, &ctl.new_secrets, NULL, NULL, NULL},
        {ROOM, T_ROOM, NULL, &ctl.room, NULL, NULL},
        {SQL, T_SQL, NULL, &ctl.sql, NULL, NULL},
        {'w', T_WATCH, &ctl.watch, NULL, NULL, NULL},
        {'y', T_YES, &ctl.yes, NULL, NULL, NULL},
    };
    for (size_t i = 0; i < sizeof(own) / sizeof(own[0]); i++) {
        if (own[i].option != c)
            continue;
        given |= own[i].takes;
        if (own[i].flag)
            *own[i].flag = true;
        if (own[i].text)
            *own[i].text = optarg;
        if (own[i].number)
            *own[i].number = number(own[i].name, optarg);
        return;
    }
    refuse_usage();
}

static void parse(int argc, char **argv, bool last)
{
    int c;
    optind = 0; /* from the beginning */
    while ((c = getopt_long(argc, argv, "f:hjno:Vwy", options, NULL)) != -1)
        if (!take_common(c, last))
            take(c);
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

int main(int argc, char **argv)
{
    process_begin();
    setlocale(LC_CTYPE, "C.UTF-8");
    log_init(STDERR_FILENO, log_kind(STDERR_FILENO), LOG_L_ERROR);
    ctl = (struct ctl){.file = "", .sql = "", .owner = "", .email = "", .room = "", .limit = 1000};
    parse(argc, argv, false);
    const struct command *c = find(argv + optind, argc - optind);
    char **words = argv + optind + (c->words[1] ? 2 : 1);
    load_conf(c->run == init_run);
    const char *file = ctl.file;
    parse(argc, argv, true);
    ctl.file = file;
    enum ctl_status status = c->run(words);
    conf_free(&ctl.conf);
    return (int)status;
}

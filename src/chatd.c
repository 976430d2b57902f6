/*
 * chatd: a chat server. This file reads the command line and the configuration and puts together
 * the two parts of the executable, the master and the sessions that it forks.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "conf.h"
#include "identity.h"
#include "keyring.h"
#include "log.h"
#include "logfile.h"
#include "master.h"
#include "notify.h"
#include "process.h"
#include "proctitle.h"
#include "public_keys.h"
#include "refuse.h"
#include "roles.h"
#include "session.h"
#include "tls_context.h"
#include "version.h"

enum { MAX_OPTIONS = 64, HOUR_S = 3600, DAY_S = 24 * HOUR_S };

static struct {
    char *folder;               /* where chatd was started */
    char *program;              /* and from which file; absolute */
    char *file;                 /* -f, absolute; or NULL */
    char *env_file;             /* .env of the folder */
    char *options[MAX_OPTIONS]; /* -o; copies, since the title overwrites the command line */
    int option_count;
    bool inetd, test, try_database, keys;
} arguments;

static const char usage[] =
    "usage: chatd [-hiktTV] [-f file] [-o key=value] ...\n"
    "  -f file       configuration file; see chatd.conf(5)\n"
    "  -h, --help    print this\n"
    "  -i            serve what inetd, or systemd with Accept=yes, hands over\n"
    "  -k            list the configuration keys and their defaults\n"
    "  -o key=value  set a key, over all other sources\n"
    "  -t            test the configuration and exit\n"
    "  -T            the same, and try the database\n"
    "  -V, --version print the version\n";

static void parse_arguments(int argc, char **argv)
{
    static const struct option words[] = {
        {"help", no_argument, NULL, 'h'}, {"version", no_argument, NULL, 'V'}, {0}};
    int c;
    while ((c = getopt_long(argc, argv, "f:hiko:tTV", words, NULL)) != -1) {
        if (c == 'f') {
            arguments.file = xstrdup(optarg);
        } else if (c == 'o') {
            if (arguments.option_count == MAX_OPTIONS)
                die("more than %d times -o", MAX_OPTIONS);
            arguments.options[arguments.option_count++] = xstrdup(optarg);
        } else if (c == 'h') {
            fputs(usage, stdout);
            exit(0);
        } else if (c == 'i') {
            arguments.inetd = true;
        } else if (c == 'k') {
            arguments.keys = true;
        } else if (c == 't' || c == 'T') {
            arguments.test = true;
            arguments.try_database |= c == 'T';
        } else if (c == 'V') {
            printf("chatd %s\n", CHATD_VERSION);
            exit(0);
        } else {
            fputs(usage, stderr);
            exit(2);
        }
    }
    if (optind < argc) {
        fprintf(stderr, "chatd: unexpected argument \"%s\"\n%s", argv[optind], usage);
        exit(2);
    }
}

static char *absolute(char *path)
{
    if (*path == '/')
        return path;
    char *whole;
    if (asprintf(&whole, "%s/%s", arguments.folder, path) < 0)
        die("out of memory");
    free(path);
    return whole;
}

/* Makes paths absolute: a reload and a successor start from another working directory. Does not
 * resolve symbolic links: they may change by then. */
static void find_files(void)
{
    arguments.folder = getcwd(NULL, 0);
    if (!arguments.folder) { /* it was removed, say */
        arguments.folder = xstrdup("/");
        if (chdir("/") < 0)
            die("/: %s", strerror(errno));
    }
    if (arguments.file)
        arguments.file = absolute(arguments.file);
    arguments.env_file = absolute(xstrdup(".env"));
    arguments.program = absolute(xstrdup((const char *)getauxval(AT_EXECFN)));
}

/* The command line again, without secrets. */
static char *const *arguments_again(void)
{
    static char name[] = "chatd", f[] = "-f", i[] = "-i", o[] = "-o";
    static char *argv[2 * MAX_OPTIONS + 5];
    char **next = argv;
    *next++ = name;
    if (arguments.file) {
        *next++ = f;
        *next++ = arguments.file;
    }
    if (arguments.inetd)
        *next++ = i;
    for (int n = 0; n < arguments.option_count; n++) {
        *next++ = o;
        *next++ = arguments.options[n];
    }
    return argv;
}

static int set_options(struct conf *conf, struct conf_error *e)
{
    for (int i = 0; i < arguments.option_count; i++)
        if (conf_set_option(conf, arguments.options[i], e) < 0)
            return -1;
    return 0;
}

/* Reads all sources; later ones win. The options come twice: they may set the mode, which decides
 * whether .env is read. */
static int load_sources(struct conf *conf, struct conf_error *e)
{
    conf_init(conf);
    if (arguments.file && conf_load_file(conf, arguments.file, e) < 0)
        return -1;
    if (set_options(conf, e) < 0)
        return -1;
    if (conf->mode == CONF_DEVELOPMENT && conf_load_env_file(conf, arguments.env_file, e) < 0)
        return -1;
    return conf_load_environment(conf, e) < 0 ? -1 : set_options(conf, e);
}

/* Wipes secrets given by -o, so that neither this process nor its children hold them. */
static void forget_secret_options(void)
{
    for (int i = 0; i < arguments.option_count; i++) {
        if (!conf_option_is_secret(arguments.options[i]))
            continue;
        explicit_bzero(arguments.options[i], strlen(arguments.options[i]));
        free(arguments.options[i]);
        memmove(&arguments.options[i], &arguments.options[i + 1],
                (size_t)(--arguments.option_count - i) * sizeof(*arguments.options));
        i--;
    }
}

/* Certificate and key of TLS, which must belong together, come into force for new connections. */
static int load_tls(const struct conf *conf, struct conf_error *e)
{
    if (!*conf->tls_certificate_file)
        return 0;
    struct tls_context *t = tls_context_new(conf, e);
    if (!t || !keyring_load(conf, tls_context_fingerprint(t), e)) {
        tls_context_free(t);
        return -1;
    }
    tls_context_use(t);
    return 0;
}

/* Only a day before: for earlier there are the metrics, and chatctl doctor. */
static void warn_of_expiry(void)
{
    int64_t expiry = tls_context_expiry(), left = expiry - time(NULL);
    if (expiry && left <= 0)
        log_warn("tls_certificate_file: the certificate has expired, so that clients refuse it; "
                 "renew it, then send SIGHUP");
    else if (expiry && left <= DAY_S)
        log_warn("tls_certificate_file: the certificate expires within %d hours; renew it, then "
                 "send SIGHUP",
                 (int)((left + HOUR_S - 1) / HOUR_S));
}

/* For SIGHUP. The secrets are long wiped, and a reload does not change them. Relative paths start
 * from the folder where chatd was started. */
static bool reload(struct conf *fresh)
{
    struct conf_error e;
    int here = open(".", O_PATH | O_DIRECTORY | O_CLOEXEC);
    if (here < 0 || chdir(arguments.folder) < 0)
        log_warn("%s: %s", arguments.folder, strerror(errno));
    bool good =
        load_sources(fresh, &e) == 0 && conf_check(fresh, &e) == 0 && load_tls(fresh, &e) == 0;
    if (here >= 0 && fchdir(here) < 0)
        die("run_dir: %s", strerror(errno));
    close(here);
    if (good)
        warn_of_expiry();
    else
        log_error("not reloaded: %s", e.text);
    conf_wipe_secrets(fresh);
    return good;
}

/* inetd connects even standard error to the client, which must not read our log. */
static bool stderr_is_client(void)
{
    struct stat st;
    return arguments.inetd && fstat(STDERR_FILENO, &st) == 0 && S_ISSOCK(st.st_mode);
}

/* The socket of systemd-journald: journal, or journal:PATH if it is elsewhere. NULL: not there. */
static const char *journal_path(const char *log_file)
{
    if (strcmp(log_file, "journal") == 0)
        return "/run/systemd/journal/socket";
    return strncmp(log_file, "journal:/", 9) == 0 ? log_file + 8 : NULL;
}

/* Begins to log there; returns the descriptor, -1 for syslog(3). */
static int open_log(const struct conf *conf)
{
    enum log_level level = (enum log_level)conf->log_level;
    const char *journal = journal_path(conf->log_file);
    int fd = -1;
    if (journal) {
        logfile_init_journal(journal, level);
        return logfile_fd();
    }
    if (*conf->log_file && strcmp(conf->log_file, "syslog") != 0) {
        logfile_init(absolute(xstrdup(conf->log_file)));
        fd = logfile_fd();
    } else if (!*conf->log_file && !stderr_is_client()) {
        fd = STDERR_FILENO;
    }
    log_init(fd, log_kind(fd), level);
    return fd;
}

/* Last, takes secrets that the previous master handed over: they may be gone everywhere else. */
static int take_secrets(struct conf *conf, int fd, struct conf_error *e)
{
    if (fd < 0)
        return 0;
    int result = conf_take_secrets(conf, fd, e);
    close(fd);
    return result;
}

static void load_conf(struct conf *conf, const struct inheritance *in)
{
    struct conf_error e;
    if (load_sources(conf, &e) < 0 || take_secrets(conf, in->secrets, &e) < 0 ||
        conf_finish(conf, &e) < 0 || public_keys_check(conf, &e) < 0 || load_tls(conf, &e) < 0) {
        takeover_refuse(in, e.text);
        if (stderr_is_client() || log_kind(STDERR_FILENO) == LOG_TO_JOURNAL)
            die("%s", e.text);
        fprintf(stderr, "chatd: %s\n", e.text);
        exit(1);
    }
}

static void warn(const struct conf *conf)
{
    const char *text;
    for (unsigned i = 0; (text = conf_warning(conf, i)); i++)
        log_warn("%s", text);
    warn_of_expiry();
    /* Somebody who has moved from development to production may miss it. */
    if (conf->mode == CONF_PRODUCTION && access(arguments.env_file, F_OK) == 0)
        log_warn("%s is not read in mode production", arguments.env_file);
}

/* chatd -T: does the database do as well? What is wrong goes to standard error, whatever log_file
 * says. */
static int try_database(struct conf *conf)
{
    struct conf_error e;
    struct identity user;
    if (conf_set(conf, "log_file", "", "-T", &e) < 0)
        bug("%s", e.text);
    identity_find(&user, "user", conf->user);
    fflush(stdout);
    if (!roles_try_broker(conf, STDERR_FILENO, &user)) {
        fputs("chatd: the database cannot be used\n", stderr);
        return 1;
    }
    printf("The database can be used.\n");
    return 0;
}

/* chatd -t: what is read from where, and whether it would do. */
static int show_conf(struct conf *conf)
{
    conf_print_places(conf, stdout);
    warn(conf);
    printf("The configuration is fine.\n");
    int status = arguments.try_database ? try_database(conf) : 0;
    conf_free(conf);
    return status;
}

/* From here on the log is where the configuration wants it; returns its descriptor. */
static int switch_log(struct conf *conf)
{
    int fd = open_log(conf);
    struct conf_error e;
    if (fd < 0 && conf_set(conf, "log_file", "syslog", "-i", &e) < 0)
        bug("%s", e.text); /* so that the roles log there, too */
    log_set_format((enum log_format)conf->log_format);
    log_process("master");
    warn(conf);
    return fd;
}

int main(int argc, char **argv)
{
    process_begin();
    proctitle_init(argc, argv);
    parse_arguments(argc, argv);
    if (arguments.keys) {
        conf_print_keys(stdout);
        return 0;
    }
    int first_log = stderr_is_client() ? -1 : STDERR_FILENO;
    log_init(first_log, log_kind(first_log), LOG_L_INFO);

    find_files();
    struct inheritance in;
    takeover_inherit(&in);
    struct conf conf;
    load_conf(&conf, &in);
    if (arguments.test)
        return show_conf(&conf);
    forget_secret_options();

    int log_fd = switch_log(&conf);
    notify_init(in.word >= 0 ? in.word : conf.ready_fd);
    process_need_descriptors((unsigned long)conf.max_spare + REFUSE_KEPT + 64);
    /* While developing, a debugger may look. */
    if (conf.mode == CONF_PRODUCTION)
        process_hide();
    struct sockets sockets;
    sockets_open(&sockets, &conf, arguments.inetd, in.bound);
    session_warm_up();
    tls_warm_up();
    struct master master = {
        .conf = &conf,
        .sockets = &sockets,
        .log_fd = log_fd,
        .session = session_main,
        .reload = reload,
        .tls_expiry = tls_context_expiry,
        .program = {arguments.program, arguments.folder, arguments_again()},
        .inherited = in,
    };
    int status = master_run(&master);
    conf_free(&conf);
    return status;
}

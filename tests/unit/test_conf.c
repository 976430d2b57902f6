/* The configuration: what is read back as it was meant, and the errors that help an operator.
 * Runs in the root of the source tree, as it reads chatd.conf. */
#include "conf_table.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "buf.h"
#include "log.h"
#include "test.h"

#define SECRET_32 "0123456789abcdef0123456789abcdef"

static struct conf c;
static struct conf_error e;
static char dir[] = "/tmp/test_conf.XXXXXX";

static void fresh(void)
{
    conf_free(&c);
    conf_init(&c);
    e.text[0] = '\0';
}

static int load(const char *text)
{
    return conf_load_text(&c, text, strlen(text), "chatd.conf", &e);
}

/* Loading the text on top of the defaults fails with exactly this error. */
#define REFUSES(lines, error)                                                                      \
    do {                                                                                           \
        fresh();                                                                                   \
        CHECK(load(lines) == -1);                                                                  \
        CHECK_STR(e.text, error);                                                                  \
    } while (0)

/* The text sets db_host, the string key that serves as guinea pig, to exactly this value. */
#define READS(lines, value)                                                                        \
    do {                                                                                           \
        fresh();                                                                                   \
        CHECK(load(lines) == 0);                                                                   \
        CHECK_STR(e.text, "");                                                                     \
        CHECK_STR(c.db_host, value);                                                               \
    } while (0)

static const char *path_of(const char *name)
{
    static char path[2][128];
    static int which;
    which = !which;
    snprintf(path[which], sizeof(path[which]), "%s/%s", dir, name);
    return path[which];
}

static const char *write_file(const char *name, const char *text, size_t n, mode_t mode)
{
    const char *path = path_of(name);
    FILE *f = fopen(path, "w");
    CHECK(f && fwrite(text, 1, n, f) == n);
    if (f)
        fclose(f);
    chmod(path, mode);
    return path;
}

static int load_env(const char *text)
{
    return conf_load_env_file(&c, write_file("env", text, strlen(text), 0600), &e);
}

/* The error is what the format makes of its arguments. */
__attribute__((format(printf, 1, 2))) static void check_error(const char *fmt, ...)
{
    char want[600];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(want, sizeof(want), fmt, ap);
    va_end(ap);
    CHECK_STR(e.text, want);
}

static void defaults_are_those_of_the_table(void)
{
    fresh();
    CHECK(c.mode == CONF_PRODUCTION && c.presence == CONF_PRESENCE_ALL);
    CHECK(c.log_level == LOG_L_INFO);
    CHECK_STR(c.listen, "127.0.0.1, [::1]");
    CHECK(c.port == 8080 && c.ready_fd == -1);
    CHECK(c.drain_time == 10000 && c.idle_exit == 0 && c.token_lifetime == 86400000);
    CHECK(c.max_header == 8192 && c.session_queue == 262144);
    CHECK_STR(c.jwt_secret, "");
}

static void enum_words_stand_in_the_order_of_the_enums(void)
{
    fresh();
    CHECK(load("mode = development\npresence = contacts\nlog_level = error\n") == 0);
    CHECK(c.mode == CONF_DEVELOPMENT && c.presence == CONF_PRESENCE_CONTACTS);
    CHECK(c.log_level == LOG_L_ERROR);
    fresh();
    CHECK(load("presence = off\nlog_level = debug") == 0);
    CHECK(c.presence == CONF_PRESENCE_OFF && c.log_level == LOG_L_DEBUG);
    fresh();
    CHECK(load("log_level = warn") == 0 && c.log_level == LOG_L_WARN);
}

static void values_are_read_as_written(void)
{
    READS("db_host = a", "a");
    READS("  db_host\t=\ta \t\n", "a");
    READS("db_host=a b", "a b");
    READS("db_host =", "");
    READS("db_host = # none", "");
    READS("db_host = a # b", "a");
    READS("db_host = a#b", "a#b");
    READS("db_host =#b", "#b");
    READS("db_host = a=b", "a=b");
    READS("db_host = a\"b", "a\"b");
    READS("db_host = a\\b", "a\\b");
    READS("db_host = caf\xc3\xa9", "caf\xc3\xa9");
    READS("\n \t\n# x\n   # db_host = b\ndb_host = a\n\n", "a");
}

static void quotes_keep_what_stands_between_them(void)
{
    READS("db_host = \" a # b \" # c", " a # b ");
    READS("db_host = \"\"", "");
    READS("db_host = \"say \\\"hi\\\" \\\\ bye\"  ", "say \"hi\" \\ bye");
    REFUSES("db_host = \"a", "chatd.conf:1: the closing quote is missing");
    REFUSES("db_host = \"a\\\"", "chatd.conf:1: the closing quote is missing");
    REFUSES("db_host = \"a\\", "chatd.conf:1: a backslash in quotes must precede \\ or \"; "
                               "write \\\\");
    REFUSES("db_host = \"a\\n\"", "chatd.conf:1: a backslash in quotes must precede \\ or \"; "
                                  "write \\\\");
    REFUSES("db_host = \"a\" b", "chatd.conf:1: text after the closing quote; precede a quote in "
                                 "the value with \\");
    REFUSES("db_host = \"a\"#b", "chatd.conf:1: text after the closing quote; precede a quote in "
                                 "the value with \\");
}

static void an_unknown_key_gets_the_nearest_known_one(void)
{
    REFUSES("\n\nmax_client = 5",
            "chatd.conf:3: unknown key \"max_client\"; did you mean \"max_clients\"?");
    REFUSES("prot = 5", "chatd.conf:1: unknown key \"prot\"; did you mean \"port\"?");
    REFUSES("pport = 5", "chatd.conf:1: unknown key \"pport\"; did you mean \"port\"?");
    REFUSES("PORT = 5", "chatd.conf:1: unknown key \"PORT\"; did you mean \"port\"?");
    REFUSES("db-pasword = 5",
            "chatd.conf:1: unknown key \"db-pasword\"; did you mean \"db_password\"?");
    REFUSES("ping interval = 5",
            "chatd.conf:1: unknown key \"ping interval\"; did you mean \"ping_interval\"?");
    REFUSES("colour = red",
            "chatd.conf:1: unknown key \"colour\"; chatd.conf(5) lists those that exist");
    char text[300];
    memset(text, 'p', 290);
    strcpy(text + 290, " = 1");
    fresh();
    CHECK(load(text) == -1);
    check_error("chatd.conf:1: unknown key \"%.60s\"; chatd.conf(5) lists those that exist", text);
}

static void a_bad_value_is_told_type_and_bounds(void)
{
    REFUSES("port = 65536",
            "chatd.conf:1: port is \"65536\", but must be an integer from 0 to 65535");
    REFUSES("port =", "chatd.conf:1: port is \"\", but must be an integer from 0 to 65535");
    REFUSES("ready_fd = -2",
            "chatd.conf:1: ready_fd is \"-2\", but must be an integer from -1 to 1023");
    REFUSES("max_body = 2M", "chatd.conf:1: max_body is \"2M\", but must be a size from 256 to 1M: "
                             "bytes, or a number with k or M");
    REFUSES("drain_time = 2h",
            "chatd.conf:1: drain_time is \"2h\", but must be a duration from 0 to 1h: "
            "seconds, or a number with ms, s, m, h or d");
    REFUSES("token_lifetime = 999ms",
            "chatd.conf:1: token_lifetime is \"999ms\", but must be a duration from 1s to 3650d: "
            "seconds, or a number with ms, s, m, h or d");
    REFUSES("presence = some", "chatd.conf:1: presence is \"some\", but must be one of all, "
                               "contacts, off");
}

static void numbers_are_strict(void)
{
    static const char *const bad[] = {"+1",
                                      "1.5",
                                      "0x10",
                                      "1 ",
                                      "1 0",
                                      "1k",
                                      "--1",
                                      "-",
                                      "one",
                                      "1,0",
                                      "9223372036854775808",
                                      "99999999999999999999"};
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        fresh();
        CHECK(conf_set(&c, "ready_fd", bad[i], "-o", &e) == -1 && c.ready_fd == -1);
    }
    static const char *const sizes[] = {"-1k", "1K", "1m", "1G", "k", "1kM", "9007199254740993k"};
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
        CHECK(conf_set(&c, "max_message", sizes[i], "-o", &e) == -1);
    static const char *const times[] = {
        "-1s", "1S", "1w", "1 s", "s", "1h30m", "9223372036854775807d"};
    for (size_t i = 0; i < sizeof(times) / sizeof(*times); i++)
        CHECK(conf_set(&c, "ping_timeout", times[i], "-o", &e) == -1);
}

static void units_multiply(void)
{
    fresh();
    CHECK(load("max_message = 2M\nmax_header = 9k\nmax_body = 300\n") == 0);
    CHECK(c.max_message == 2 * 1024 * 1024 && c.max_header == 9 * 1024 && c.max_body == 300);
    CHECK(load("header_timeout = 7\nbody_timeout = 7ms\nkeepalive_timeout = 7s\n"
               "write_timeout = 7m\nrequest_timeout = 7h\ntoken_lifetime = 7d") == 0);
    CHECK(c.header_timeout == 7000 && c.body_timeout == 7 && c.keepalive_timeout == 7000);
    CHECK(c.write_timeout == 420000 && c.request_timeout == 25200000);
    CHECK(c.token_lifetime == 604800000);
}

static void a_key_twice_in_one_text_names_both_lines(void)
{
    REFUSES("port = 1\n\nport = 2",
            "chatd.conf:3: port is already set in line 1; remove one of them");
    CHECK(c.port == 1);
    /* In two texts, the later one simply wins. */
    fresh();
    CHECK(load("port = 1") == 0 && load("port = 2") == 0 && c.port == 2);
}

static void garbage_lines_are_refused(void)
{
    REFUSES("port 8080", "chatd.conf:1: expected key = value; a comment starts with #");
    REFUSES("= 8080", "chatd.conf:1: expected key = value; a comment starts with #");
    REFUSES("port # = 8080", "chatd.conf:1: expected key = value; a comment starts with #");
    REFUSES("port = 1\r\n", "chatd.conf:1: control character 0x0d at byte 9; save the file as "
                            "plain text with Unix line ends");
    REFUSES("# \x7f",
            "chatd.conf:1: control character 0x7f at byte 3; save the file as plain text");
    fresh();
    CHECK(conf_load_text(&c, "#\n\0b", 4, "x", &e) == -1);
    CHECK_STR(e.text, "x:2: NUL byte 0x00 at byte 1; save the file as plain text");
}

static void a_line_has_at_most_4096_bytes(void)
{
    char text[4100];
    memset(text, '#', sizeof(text));
    fresh();
    CHECK(conf_load_text(&c, text, 4096, "x", &e) == 0);
    CHECK(conf_load_text(&c, text, 4097, "x", &e) == -1);
    CHECK_STR(e.text, "x:1: a line of 4097 bytes; at most 4096 are allowed");
}

static void no_error_shows_a_secret(void)
{
    fresh();
    CHECK(conf_set(&c, "jwt_secret", "hunter2\nx", "-o", &e) == -1);
    CHECK_STR(e.text, "-o: the value of jwt_secret contains the control character 0x0a; remove it");
    char text[CONF_VALUE_MAX + 2];
    memset(text, 'x', sizeof(text));
    text[CONF_VALUE_MAX + 1] = '\0';
    CHECK(conf_set(&c, "jwt_secret", text, "-o", &e) == -1);
    CHECK_STR(e.text, "-o: the value of jwt_secret has 2001 bytes; at most 2000 are allowed");
    CHECK_STR(c.jwt_secret, "");
}

static void options_split_at_the_first_equals(void)
{
    fresh();
    CHECK(conf_set_option(&c, "port=81", &e) == 0 && c.port == 81);
    CHECK(conf_set_option(&c, "db_host= a=\"b\" # c", &e) == 0);
    CHECK_STR(c.db_host, " a=\"b\" # c");
    CHECK(conf_set_option(&c, "db_host=", &e) == 0);
    CHECK_STR(c.db_host, "");
    CHECK(conf_set_option(&c, "port", &e) == -1);
    CHECK_STR(e.text, "-o: expected key=value");
    CHECK(conf_set_option(&c, "ports=1", &e) == -1);
    CHECK_STR(e.text, "-o: unknown key \"ports\"; did you mean \"port\"?");
}

static void env_files_are_read_as_the_common_readers_do(void)
{
    fresh();
    CHECK(load_env("# comment\n\nexport PORT=81\nDB_HOST='a \"b\" \\ $c' # d\n"
                   "  DB_USER=\"x \\\"y\\\" \\\\ \\$z \\w\"\nDB_NAME=plain#x # comment\r\n"
                   "OTHER=\"unfinished\nport=99\nDB_PASSWORD=\nDB_PORT = 5433") == 0);
    CHECK_STR(e.text, "");
    CHECK(c.port == 81);
    CHECK_STR(c.db_host, "a \"b\" \\ $c");
    CHECK_STR(c.db_user, "x \"y\" \\ $z \\w");
    CHECK_STR(c.db_name, "plain#x");
    CHECK_STR(c.db_port, "5433");
    CHECK_STR(c.db_password, "");
    fresh();
    CHECK(load_env("\xef\xbb\xbf"
                   "DB_HOST=`a'\"$b` # c\r\nDB_USER='it\\'s' \nDB_NAME=\t\"\" #\nDB_PORT= # 1") ==
          0);
    CHECK_STR(c.db_host, "a'\"$b");
    CHECK_STR(c.db_user, "it's");
    CHECK_STR(c.db_name, "");
    CHECK_STR(c.db_port, "");
}

/* Whatever it is, PORT in the line before the last and DB_HOST in the last are read. */
static void what_is_not_ours_in_an_env_file_is_skipped(void)
{
    static const char *const others[] = {
        "KEY=\"-----BEGIN KEY-----\nPORT=1\nJWT_SECRET\n-----END KEY-----\" # a key\n",
        "KEY='a\nPORT=1\n'\n",
        "KEY=`a\nPORT=1\nDB_HOST=x`\r\n",
        "KEY=\"a \\\" b\nPORT=1\"\n",
        "KEY='it\\'s\nPORT=1'\n",
        "KEY=\"a\" b\nKEY='a\n",
        "KEY=a\001b\x7f\xff\n\001=\002\n",
        "key: value\n- list\n[section]\n\r\n = \nA B=1\nexport\nexport A\nPORTS=1\nPORT_=2\n",
        "A=1\nA=2\nA=3\n",
    };
    char text[16384];
    for (size_t i = 0; i < sizeof(others) / sizeof(*others); i++) {
        fresh();
        snprintf(text, sizeof(text), "%sPORT=82\nDB_HOST=last", others[i]);
        CHECK(load_env(text) == 0);
        CHECK_STR(e.text, "");
        CHECK(c.port == 82);
        CHECK_STR(c.db_host, "last");
    }
    fresh();
    memset(text, 'x', sizeof(text));
    memcpy(text, "LONG=", 5);
    snprintf(text + 10000, sizeof(text) - 10000, "\nPORT=82\n");
    CHECK(load_env(text) == 0 && c.port == 82);
    /* A NUL is another's, too. */
    fresh();
    static char nul[] = "A=\0\nPORT=82\n";
    CHECK(conf_load_env_text(&c, nul, sizeof(nul) - 1, "x", &e) == 0 && c.port == 82);
}

static void env_file_errors_say_where(void)
{
    fresh();
    CHECK(conf_load_env_file(&c, path_of("missing"), &e) == 0);
    CHECK(load_env("PORT=80\nPORT=81") == -1);
    check_error("%s/env:2: PORT is already set in line 1; remove one of them", dir);
    CHECK(load_env("A='1\n2'\nPORT=x") == -1);
    check_error("%s/env:3: port is \"x\", but must be an integer from 0 to 65535", dir);
    CHECK(load_env("JWT_SECRET") == -1);
    check_error("%s/env:1: expected NAME=value; a comment starts with #", dir);
    static const char quotes[] = "the closing quote is missing, or text follows it; precede a "
                                 "quote in the value with \\";
    CHECK(load_env("JWT_SECRET='x") == -1);
    check_error("%s/env:1: %s", dir, quotes);
    CHECK(load_env("A=1\nJWT_SECRET=\"x\"y") == -1);
    check_error("%s/env:2: %s", dir, quotes);
    CHECK(load_env("JWT_SECRET=\"x\\ny\"") == -1);
    check_error("%s/env:1: the value of JWT_SECRET contains the control character 0x0a; remove it",
                dir);
    static char nul[] = "PORT=82\0";
    CHECK(conf_load_env_text(&c, nul, sizeof(nul) - 1, "x", &e) == -1);
    CHECK_STR(e.text, "x:1: the value of PORT contains the control character 0x00; remove it");
}

static void an_env_file_that_others_could_have_made_is_refused(void)
{
    fresh();
    const char *path = write_file("env", "PORT=83", 7, 0620);
    CHECK(conf_load_env_file(&c, path, &e) == -1);
    check_error("%s/env: the file may be written by others; run: chmod go-w", dir);
    chmod(path, 0602);
    CHECK(conf_load_env_file(&c, path, &e) == -1);
    check_error("%s/env: the file may be written by others; run: chmod go-w", dir);
    chmod(path, 0644);
    chmod(dir, 0777);
    CHECK(conf_load_env_file(&c, path, &e) == -1);
    check_error("%s/env: its folder may be written by others; run: chmod go-w", dir);
    chmod(dir, 01777);
    CHECK(conf_load_env_file(&c, path, &e) == 0 && c.port == 83);
    chmod(dir, 0700);
    rename(path, path_of("other"));
    CHECK(symlink("other", path_of("env")) == 0);
    CHECK(conf_load_env_file(&c, path_of("env"), &e) == -1);
    check_error("%s/env: is a symbolic link; put the file itself there", dir);
    unlink(path_of("env"));
    unlink(path_of("other"));
    CHECK(mkfifo(path_of("env"), 0600) == 0); /* which nobody writes to */
    CHECK(conf_load_env_file(&c, path_of("env"), &e) == -1);
    check_error("%s/env: is not a regular file; remove it", dir);
    unlink(path_of("env"));
}

static void the_environment_sets_what_the_table_names(void)
{
    fresh();
    CHECK(load("port = 1\ndb_user = file\ndb_name = file") == 0);
    setenv("PORT", "2", 1);
    setenv("DB_USER", "env", 1);
    setenv("JWT_SECRET", SECRET_32, 1);
    CHECK(conf_load_environment(&c, &e) == 0);
    CHECK(c.port == 2);
    CHECK_STR(c.db_user, "env");
    CHECK_STR(c.db_name, "file");
    CHECK_STR(c.jwt_secret, SECRET_32);
    setenv("PORT", "http", 1);
    CHECK(conf_load_environment(&c, &e) == -1);
    CHECK_STR(e.text, "environment PORT: port is \"http\", but must be an integer from 0 to 65535");
}

static void secrets_leave_the_environment_overwritten(void)
{
    setenv("JWT_SECRET", SECRET_32, 1);
    const char *value = getenv("JWT_SECRET");
    conf_wipe_environment();
    CHECK(getenv("JWT_SECRET") == NULL && value[0] == '\0');
    CHECK(getenv("DB_USER") != NULL);
    unsetenv("DB_USER");
    unsetenv("PORT");
}

static void a_file_is_loaded_and_a_missing_one_reported(void)
{
    fresh();
    const char *path = write_file("conf", "port = 82\nbad", 13, 0644);
    CHECK(conf_load_file(&c, path, &e) == -1 && c.port == 82);
    check_error("%s:2: expected key = value; a comment starts with #", path);
    CHECK(conf_load_file(&c, path_of("missing"), &e) == -1);
    check_error("%s/missing: No such file or directory; correct the path or the permissions", dir);
    CHECK(conf_load_file(&c, dir, &e) == -1);
}

static int finish_with_file(const char *text, size_t n, mode_t mode)
{
    fresh();
    char line[300];
    snprintf(line, sizeof(line), "jwt_secret_file = %s", write_file("secret", text, n, mode));
    CHECK(load(line) == 0);
    return conf_finish(&c, &e);
}

static void a_secret_file_is_read_without_its_newline(void)
{
    CHECK(finish_with_file(SECRET_32 "\n", 33, 0600) == 0);
    CHECK_STR(c.jwt_secret, SECRET_32);
    CHECK(finish_with_file(" " SECRET_32 "\r\n", 35, 0640) == 0);
    CHECK_STR(c.jwt_secret, " " SECRET_32);
    CHECK(conf_warning(&c, 0) == NULL);
}

static void a_secret_file_must_be_private_short_and_text(void)
{
    const char *file = "chatd.conf:1: jwt_secret_file: ";
    CHECK(finish_with_file(SECRET_32, 32, 0604) == -1);
    check_error("%s%s/secret is open to every user; run: chmod o-rwx %s/secret", file, dir, dir);
    CHECK(finish_with_file("\n", 1, 0600) == -1);
    check_error("%s%s/secret is empty; write the secret into it", file, dir);
    CHECK(finish_with_file("", 0, 0600) == -1);
    CHECK(finish_with_file("two\nlines\n", 10, 0600) == -1);
    check_error("%s%s/secret: byte 4 is not text; the file must hold one line, such as openssl "
                "rand -base64 32 prints",
                file, dir);
    CHECK(finish_with_file("a\0b", 3, 0600) == -1);
    CHECK_STR(c.jwt_secret, "");
    char large[3000];
    memset(large, 'x', sizeof(large));
    CHECK(finish_with_file(large, 2000, 0600) == 0 && strlen(c.jwt_secret) == 2000);
    CHECK(finish_with_file(large, 2001, 0600) == -1);
    CHECK(finish_with_file(large, 3000, 0600) == -1);
    check_error("%s%s/secret: %s; a file of at most 2002 bytes is expected", file, dir,
                strerror(EFBIG));
    fresh();
    CHECK(load("db_password_file = /nonexistent/x") == 0 && conf_finish(&c, &e) == -1);
    CHECK_STR(e.text, "chatd.conf:1: db_password_file: /nonexistent/x: No such file or directory; "
                      "correct the path or the permissions");
}

static void a_secret_and_its_file_exclude_each_other_within_one_source(void)
{
    fresh();
    CHECK(load("\njwt_secret_file = /x\njwt_secret = " SECRET_32) == 0);
    CHECK(conf_finish(&c, &e) == -1);
    CHECK_STR(e.text, "chatd.conf:3: jwt_secret and jwt_secret_file (chatd.conf:2) are "
                      "both set; remove one of them");
    CHECK(conf_set_option(&c, "jwt_secret_file=", &e) == 0 && conf_finish(&c, &e) == 0);
}

static void of_a_secret_and_its_file_the_later_source_wins(void)
{
    fresh();
    CHECK(load("jwt_secret_file = /nonexistent") == 0);
    CHECK(conf_set(&c, "jwt_secret", SECRET_32, "environment JWT_SECRET", &e) == 0);
    CHECK(conf_finish(&c, &e) == 0);
    CHECK_STR(c.jwt_secret, SECRET_32);
    fresh();
    CHECK(load("db_password = x\njwt_secret = " SECRET_32) == 0);
    CHECK(conf_set_option(&c, "db_password_file=/nonexistent", &e) == 0);
    CHECK_STR(c.db_password, "");
    CHECK(conf_finish(&c, &e) == -1);
}

/* conf_finish() of a good secret and this text fails with exactly this error. */
#define UNFIT(lines, error)                                                                        \
    do {                                                                                           \
        fresh();                                                                                   \
        CHECK(load("jwt_secret = " SECRET_32 "\n" lines) == 0);                                    \
        CHECK(conf_finish(&c, &e) == -1);                                                          \
        CHECK_STR(e.text, error);                                                                  \
    } while (0)

static int finish_with(const char *text)
{
    fresh();
    CHECK(load(text) == 0);
    return conf_finish(&c, &e);
}

static void production_wants_a_strong_secret(void)
{
    const char *remedy = "run: (umask 077; openssl rand -base64 32 > FILE), and set "
                         "jwt_secret_file = FILE";
    CHECK(finish_with("") == -1);
    check_error("configuration: jwt_secret is not set, and there is no default; %s", remedy);
    CHECK(finish_with("mode = development") == -1);
    CHECK(finish_with("mode = development\njwt_secret = \"\"") == -1);
    check_error("chatd.conf:2: jwt_secret is not set, and there is no default; %s", remedy);
    CHECK(finish_with("jwt_secret = 0123456789abcdef0123456789abcde") == -1);
    check_error("chatd.conf:1: jwt_secret has 31 bytes, but HS256 needs at least 32 (RFC 7518, "
                "section 3.2); %s",
                remedy);
    CHECK(finish_with("jwt_secret = " SECRET_32) == 0 && conf_warning(&c, 0) == NULL);
    CHECK(finish_with("mode = development\njwt_secret = x") == 0);
    CHECK_STR(conf_warning(&c, 0),
              "jwt_secret has fewer than 32 bytes and can be guessed; production "
              "would refuse it");
}

static void contradictions_are_found(void)
{
    UNFIT("max_spare = 3",
          "chatd.conf:2: min_spare is 4, but max_spare is only 3; raise max_spare");
    UNFIT("max_spare = 5\nmin_spare = 6",
          "chatd.conf:3: min_spare is 6, but max_spare is only 5; raise max_spare");
    CHECK(finish_with("jwt_secret = " SECRET_32 "\nmax_spare = 4") == 0);
}

static void cors_origins_are_origins_or_a_lone_star(void)
{
    static const char *const good[] = {"", "*", "https://a.example", "http://localhost:3000",
                                       " https://a ,\thttps://b:1 "};
    static const char *const bad[] = {"https://a, *",  "https://*.a", "a.example",  "https://",
                                      "https://a/",    "null",        "https://a,", ",https://a",
                                      "https://a b",   " *",          "ftp://a",    "https://a?b",
                                      "https://a;,//", "**"};
    for (size_t i = 0; i < sizeof(good) / sizeof(*good); i++) {
        CHECK(finish_with("mode = development\njwt_secret = x") == 0);
        CHECK(conf_set(&c, "cors_origins", good[i], "-o", &e) == 0 && conf_finish(&c, &e) == 0);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
        CHECK(conf_set(&c, "cors_origins", bad[i], "-o", &e) == 0);
        CHECK(conf_finish(&c, &e) == -1);
    }
    UNFIT("cors_origins = https://a, *",
          "chatd.conf:2: cors_origins: \"*\" is no origin; write https://host or "
          "https://host:port without a path, or * alone for all");
}

/* The dump of c for the roles as a string, valid until the next call. */
static const char *dump(unsigned roles)
{
    static char text[CONF_DUMP_MAX];
    struct buf b = BUF_INIT;
    conf_dump(&c, &b, roles);
    buf_append(&b, "", 1);
    CHECK(buf_len(&b) <= sizeof(text));
    memcpy(text, buf_head(&b), buf_len(&b));
    buf_wipe(&b);
    return text;
}

static void a_dump_is_read_back_unchanged(void)
{
    fresh();
    char hard[CONF_VALUE_MAX + 1];
    memset(hard, '"', CONF_VALUE_MAX);
    hard[CONF_VALUE_MAX] = '\0';
    CHECK(conf_set(&c, "db_password", hard, "-o", &e) == 0);
    CHECK(conf_set(&c, "jwt_secret", " # \\\" \\ \t'=\xff\xc3\xa9 ", "-o", &e) == 0);
    CHECK(load("mode = development\nbody_timeout = 1500ms\nmax_message = 1025\nready_fd = -1\n"
               "db_host = \"\"\ntoken_lifetime = 90m\nidle_exit = 0\nmax_clients = 7") == 0);
    unsigned all = CONF_MASTER | CONF_SESSION | CONF_BROKER | CONF_AUTH | CONF_SIGNER;
    char *first = xstrdup(dump(all));
    fresh();
    CHECK(load(first) == 0);
    CHECK_STR(e.text, "");
    CHECK_STR(c.db_password, hard);
    CHECK_STR(c.jwt_secret, " # \\\" \\ \t'=\xff\xc3\xa9 ");
    CHECK(c.mode == CONF_DEVELOPMENT && c.body_timeout == 1500 && c.max_message == 1025);
    CHECK(c.token_lifetime == 5400000 && c.max_clients == 7);
    CHECK_STR(dump(all), first);
    free(first);
}

static void each_role_gets_its_own_and_only_the_broker_secrets(void)
{
    fresh();
    CHECK(load("jwt_secret = S3CRET\ndb_password = S3CRET") == 0);
    CHECK(strstr(dump(CONF_BROKER), "jwt_secret = \"S3CRET\"\n") != NULL);
    CHECK(strstr(dump(CONF_BROKER), "db_password = \"S3CRET\"\n") != NULL);
    CHECK(strstr(dump(CONF_BROKER), "jwt_secret_file") == NULL);
    unsigned others = CONF_MASTER | CONF_SESSION | CONF_AUTH | CONF_SIGNER | CONF_RELOADABLE;
    CHECK(strstr(dump(others), "S3CRET") == NULL);
    CHECK(strstr(dump(CONF_AUTH), "bcrypt_cost = 10\n") != NULL);
    CHECK(strstr(dump(CONF_AUTH), "db_host") == NULL);
    CHECK(*dump(CONF_RELOADABLE) == '\0');
}

static void wiped_secrets_are_gone(void)
{
    fresh();
    CHECK(load("jwt_secret = S3CRET\ndb_password = S3CRET\ndb_user = u") == 0);
    conf_wipe_secrets(&c);
    CHECK_STR(c.jwt_secret, "");
    CHECK_STR(c.db_password, "");
    CHECK_STR(c.db_user, "u");
    CHECK(strstr(dump(~0U), "S3CRET") == NULL);
}

static void a_reload_changes_only_what_may_change(void)
{
    fresh();
    struct conf next;
    conf_init(&next);
    const char *text = "port = 1\nrun_dir = /x\nlog_level = debug\ncors_origins = *\n"
                       "ping_timeout = 1s\njwt_secret = S3CRET\nmax_body = 1k";
    CHECK(conf_load_text(&next, text, strlen(text), "chatd.conf", &e) == 0);
    struct buf fixed = BUF_INIT;
    conf_reload(&c, &next, &fixed);
    conf_free(&next);
    CHECK(buf_len(&fixed) == 13 && memcmp(buf_head(&fixed), "run_dir, port", 13) == 0);
    buf_free(&fixed);
    CHECK(c.port == 8080 && c.log_level == LOG_L_DEBUG && c.ping_timeout == 1000);
    CHECK(c.max_body == 1024);
    CHECK_STR(c.cors_origins, "*");
    CHECK_STR(c.run_dir, "/run/chatd");
    CHECK_STR(c.jwt_secret, "");
}

static void keys_are_listed_with_type_and_default(void)
{
    char *text = NULL;
    size_t n = 0;
    FILE *f = open_memstream(&text, &n);
    conf_print_keys(f);
    fclose(f);
    CHECK(strncmp(text, "mode\tenum\tproduction\n", 21) == 0);
    CHECK(strstr(text, "\nport\tint\t8080\n") != NULL);
    CHECK(strstr(text, "\njwt_secret\tsecret\t\n") != NULL);
    CHECK(strstr(text, "\nmax_header\tsize\t8k\n") != NULL);
    free(text);
}

/* Finds the key of a "#key = value" line, or -1 for any other line. */
static int commented_key(const char *line)
{
    size_t n = strcspn(line, " ");
    if (line[0] != '#' || n < 2 || strncmp(line + n, " =", 2) != 0)
        return -1;
    char name[64];
    snprintf(name, sizeof(name), "%.*s", (int)n - 1, line + 1);
    int id = conf_find(name);
    CHECK(id >= 0);
    return id;
}

/* The comment above a key is its help, followed by its bounds or words. */
static void check_comment(const struct conf_key *key, const char *comment)
{
    char want[300], min[32], max[32];
    size_t n = (size_t)snprintf(want, sizeof(want), "# %s", key->help);
    for (int i = 0; key->words[i]; i++)
        n += (size_t)snprintf(want + n, sizeof(want) - n, "%s%s", i ? ", " : " (", key->words[i]);
    if (key->words[0])
        snprintf(want + n, sizeof(want) - n, ")");
    if (key->type > CONF_T_ENUM) {
        conf_format_number(key->type, key->min, min);
        conf_format_number(key->type, key->max, max);
        snprintf(want + n, sizeof(want) - n, " (%s to %s)", min, max);
    }
    CHECK_STR(comment, want);
}

static void chatd_conf_shows_every_key_and_its_default(void)
{
    fresh();
    char *want = xstrdup(dump(~0U)), line[512], comment[512] = "";
    int count = 0;
    bool paragraph = true;
    FILE *f = fopen("chatd.conf", "r");
    CHECK(f != NULL);
    while (f && fgets(line, sizeof(line), f)) {
        line[strcspn(line, "\n")] = '\0';
        int id = commented_key(line);
        if (id >= 0) {
            count++;
            check_comment(&conf_table[id], comment);
            CHECK_STR(line + strlen(conf_table[id].name) + 3 + (conf_table[id].preset[0] != 0),
                      conf_table[id].preset);
            CHECK(load(line + 1) == 0 && c.where[id] != NULL);
        } else {
            /* Only comments and empty lines beside the keys; the first of a paragraph counts. */
            CHECK(line[0] == '\0' || line[0] == '#');
            if (paragraph)
                strcpy(comment, line);
            paragraph = line[0] == '\0';
        }
    }
    if (f)
        fclose(f);
    CHECK(count == CONF_KEY_COUNT);
    CHECK_STR(dump(~0U), want);
    free(want);
}

int main(void)
{
    if (!mkdtemp(dir))
        die("mkdtemp %s", dir);
    conf_init(&c);
    RUN(defaults_are_those_of_the_table);
    RUN(enum_words_stand_in_the_order_of_the_enums);
    RUN(values_are_read_as_written);
    RUN(quotes_keep_what_stands_between_them);
    RUN(an_unknown_key_gets_the_nearest_known_one);
    RUN(a_bad_value_is_told_type_and_bounds);
    RUN(numbers_are_strict);
    RUN(units_multiply);
    RUN(a_key_twice_in_one_text_names_both_lines);
    RUN(garbage_lines_are_refused);
    RUN(a_line_has_at_most_4096_bytes);
    RUN(no_error_shows_a_secret);
    RUN(options_split_at_the_first_equals);
    RUN(env_files_are_read_as_the_common_readers_do);
    RUN(what_is_not_ours_in_an_env_file_is_skipped);
    RUN(an_env_file_that_others_could_have_made_is_refused);
    RUN(env_file_errors_say_where);
    RUN(the_environment_sets_what_the_table_names);
    RUN(secrets_leave_the_environment_overwritten);
    RUN(a_file_is_loaded_and_a_missing_one_reported);
    RUN(a_secret_file_is_read_without_its_newline);
    RUN(a_secret_file_must_be_private_short_and_text);
    RUN(a_secret_and_its_file_exclude_each_other_within_one_source);
    RUN(of_a_secret_and_its_file_the_later_source_wins);
    RUN(production_wants_a_strong_secret);
    RUN(contradictions_are_found);
    RUN(cors_origins_are_origins_or_a_lone_star);
    RUN(a_dump_is_read_back_unchanged);
    RUN(each_role_gets_its_own_and_only_the_broker_secrets);
    RUN(wiped_secrets_are_gone);
    RUN(a_reload_changes_only_what_may_change);
    RUN(keys_are_listed_with_type_and_default);
    RUN(chatd_conf_shows_every_key_and_its_default);
    conf_free(&c);
    unlink(path_of("env"));
    unlink(path_of("conf"));
    unlink(path_of("secret"));
    rmdir(dir);
    return DONE();
}

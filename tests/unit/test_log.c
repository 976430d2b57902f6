/* The forms of a line, and what of another process's line is believed. */
#include "log_line.h"

#include <stdbool.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "test.h"

static char out[LOG_LINE];

/* Every byte that could end or forge something, and UTF-8 that is none. */
static const char hostile[] = "a\"b\\c\nd\te\x1b[31m\x7f=\xc2\x9b\xe2\x80\xae ok\xc3\xa9\xff\xed"
                              "\xa0\x80\xc0\xaf}\xf0\x9f";
#define BAD "\xef\xbf\xbd"
#define ESCAPED                                                                                    \
    "a\\\"b\\\\c\\nd\\te\\u001b[31m\\u007f=\\u009b\\u202e ok\xc3\xa9" BAD BAD BAD BAD BAD BAD      \
    "}" BAD

static struct log_line line_of(const char *text)
{
    return (struct log_line){.level = LOG_L_WARN,
                             .time = {0, 123456789},
                             .process = "session",
                             .pid = 4711,
                             .session = "4711.0badcafe",
                             .user = "alice",
                             .client = "2001:db8::1",
                             .text = text};
}

static void test_text(void)
{
    struct log_line l = line_of("a\nb\x1b");
    CHECK(log_line_text(out, sizeof(out), &l) == strlen(out));
    CHECK_STR(out, "1970-01-01T00:00:00.123Z warning session[4711] alice 2001:db8::1: a?b?\n");
    l.client = "";
    log_line_bare(out, sizeof(out), &l);
    CHECK_STR(out, "session[4711]: a?b?");
    l.process = "";
    log_line_bare(out, sizeof(out), &l);
    CHECK_STR(out, "process 4711: a?b?");
    l = (struct log_line){LOG_L_INFO, {0}, "chatd", 0, "", "", "", "x"};
    log_line_bare(out, sizeof(out), &l);
    CHECK_STR(out, "chatd: x");
}

static void test_logfmt(void)
{
    struct log_line l = line_of(hostile);
    log_line_pairs(out, sizeof(out), LOG_F_LOGFMT, &l);
    CHECK_STR(out, "time=1970-01-01T00:00:00.123Z level=warning process=session pid=4711 "
                   "session=4711.0badcafe user=alice client=2001:db8::1 msg=\"" ESCAPED "\"\n");
    l = (struct log_line){LOG_L_INFO, {0}, "broker", 1, "", "a b=\"c", "", ""};
    log_line_pairs(out, sizeof(out), LOG_F_LOGFMT, &l);
    CHECK_STR(out, "time=1970-01-01T00:00:00.000Z level=info process=broker pid=1 "
                   "user=\"a b=\\\"c\" msg=\"\"\n");
}

static void test_json(void)
{
    struct log_line l = line_of(hostile);
    log_line_pairs(out, sizeof(out), LOG_F_JSON, &l);
    CHECK_STR(out, "{\"time\":\"1970-01-01T00:00:00.123Z\",\"level\":\"warning\",\"process\":"
                   "\"session\",\"pid\":4711,\"session\":\"4711.0badcafe\",\"user\":\"alice\","
                   "\"client\":\"2001:db8::1\",\"msg\":\"" ESCAPED "\"}\n");
    l.user = l.client = hostile;
    log_line_pairs(out, sizeof(out), LOG_F_JSON, &l);
    CHECK(strstr(out, "\"user\":\"" ESCAPED "\",\"client\":\"" ESCAPED "\",\"msg\":"));
}

static void test_journald(void)
{
    struct log_line l = line_of("a\nPRIORITY=0\n\xff\xc3\xa9");
    size_t n = log_line_journald(out, sizeof(out), &l);
    CHECK(n == strlen(out));
    CHECK_STR(out, "PRIORITY=4\nSYSLOG_IDENTIFIER=chatd\nCHATD_PROCESS=session\nCHATD_PID=4711\n"
                   "CHATD_SESSION=4711.0badcafe\nCHATD_USER=alice\nCHATD_CLIENT=2001:db8::1\n"
                   "MESSAGE=a?PRIORITY=0??\xc3\xa9\n");
}

/* Cut between two characters; whatever ends a line is there, and nothing is written behind. */
static void test_long(void)
{
    char text[3 * LOG_LINE + 16], small[LOG_LINE + 1];
    static const struct {
        const char *piece, *json, *logfmt;
    } rows[] = {{"x", "x\"}\n", "x\"\n"},
                {"\n", "\\n\"}\n", "\\n\"\n"},
                {"\x01", "\\u0001\"}\n", "\\u0001\"\n"},
                {"\xe2\x82\xac", "\xe2\x82\xac\"}\n", "\xe2\x82\xac\"\n"}};
    for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
        for (size_t shift = 0; shift < 8; shift++) {
            size_t each = strlen(rows[i].piece);
            memset(text, 'y', shift);
            for (size_t n = 0; n < LOG_LINE; n++)
                memcpy(text + shift + n * each, rows[i].piece, each + 1);
            struct log_line l = line_of(text);
            small[LOG_LINE] = 'Z';
            size_t n = log_line_pairs(small, LOG_LINE, LOG_F_JSON, &l);
            CHECK(n < LOG_LINE && n > LOG_LINE - 12 && strlen(small) == n);
            CHECK_STR(small + n - strlen(rows[i].json), rows[i].json);
            n = log_line_pairs(small, LOG_LINE, LOG_F_LOGFMT, &l);
            CHECK_STR(small + n - strlen(rows[i].logfmt), rows[i].logfmt);
            n = log_line_text(small, LOG_LINE, &l);
            CHECK(n < LOG_LINE && small[n - 1] == '\n');
            n = log_line_journald(small, LOG_LINE, &l);
            CHECK(n < LOG_LINE && small[n - 1] == '\n');
            CHECK(small[LOG_LINE] == 'Z');
        }
}

/* Is this an object whose values are strings and numbers, each with its quotes? */
static bool is_object(const char *s)
{
    bool in = false, value = false;
    for (; *s && !(*s == '}' && !in); s++) {
        if (in && *s == '\\')
            s++;
        else if (*s == '"')
            in = !in;
        else if (!in && *s == ',' && !value)
            return false;
        value = *s != ':' && *s != ',';
    }
    return !in && value && strcmp(s, "}\n") == 0;
}

/* Whatever length a user has, and a session may claim any: no key is without a value. */
static void test_full(void)
{
    char user[LOG_LINE + 1];
    for (size_t n = LOG_LINE - 300; n < LOG_LINE; n++) {
        memset(user, 'u', n);
        user[n] = '\0';
        struct log_line l = line_of("text");
        l.user = user;
        size_t length = log_line_pairs(out, sizeof(out), LOG_F_JSON, &l);
        CHECK(length < LOG_LINE && strlen(out) == length);
        CHECK(is_object(out));
        log_line_pairs(out, sizeof(out), LOG_F_LOGFMT, &l);
        CHECK(!strstr(out, "=\n") && !strstr(out, "= "));
        log_line_journald(out, sizeof(out), &l);
        CHECK(!strstr(out, "=\n") && !strstr(out, "\n2001:"));
    }
}

static void test_packets(void)
{
    struct log_line l = line_of("a\x1f\n\"b"), read;
    l.user = "al\x1f"
             "ice";
    log_line_packet(out, sizeof(out), &l);
    CHECK(log_line_read(out, &read));
    CHECK(read.level == LOG_L_WARN);
    CHECK_STR(read.process, "session");
    CHECK_STR(read.session, "4711.0badcafe");
    CHECK_STR(read.user, "al?ice");
    CHECK_STR(read.client, "2001:db8::1");
    CHECK_STR(read.text, "a\x1f\n\"b");
    char bare[] = "<3>broker[1]: x";
    CHECK(!log_line_read(bare, &read) && read.level == LOG_L_ERROR);
    CHECK_STR(read.text, "broker[1]: x");
    char none[] = "<9>\x1f\x1f\x1f";
    CHECK(!log_line_read(none, &read) && read.level == LOG_L_WARN);
    CHECK_STR(read.text, "<9>\x1f\x1f\x1f");
}

/* What becomes of a packet from this sender, with pid 12. */
static const char *passed_on(const char *text, const char *sender)
{
    char packet[LOG_PACKET + 1];
    snprintf(packet, sizeof(packet), "%s", text);
    int file = memfd_create("log", 0);
    log_init(file, LOG_TO_FILE, LOG_L_DEBUG);
    log_set_format(LOG_F_LOGFMT);
    log_pass_on(packet, 12, sender);
    ssize_t n = pread(file, out, sizeof(out) - 1, 0);
    out[n > 0 ? n : 0] = '\0';
    close(file);
    const char *from = strstr(out, " level=");
    return from ? from : "";
}

static void test_trust(void)
{
    CHECK_STR(passed_on("<3>session\x1f"
                        "12.0123abcd\x1f"
                        "bob\x1f"
                        "::1\x1fx",
                        "session"),
              " level=error process=session pid=12 session=12.0123abcd user=bob client=::1 "
              "msg=\"x\"\n");
    /* Another process, another's id, and what is no id. */
    CHECK_STR(passed_on("<3>broker\x1f"
                        "13.0123abcd\x1f\x1f\x1fx",
                        "session"),
              " level=error process=session pid=12 msg=\"x\"\n");
    static const char *const ids[] = {"12",           "12.",          "12.0123ABCD",
                                      "12.0123abcd0", "12.0123abc",   " x.0123abcd",
                                      "-12.0123abcd", " 12.0123abcd", "\n12.0123abcd",
                                      "+12.0123abcd", "012.0123abcd"};
    for (size_t i = 0; i < sizeof(ids) / sizeof(ids[0]); i++) {
        char packet[64];
        snprintf(packet, sizeof(packet), "<6>session\x1f%s\x1f\x1f\x1fx", ids[i]);
        CHECK_STR(passed_on(packet, "session"), " level=info process=session pid=12 msg=\"x\"\n");
    }
    CHECK_STR(passed_on("<3>broker[1]: x\n", "session"),
              " level=error pid=12 msg=\"broker[1]: x\"\n");
    /* The broker speaks of others. */
    CHECK_STR(passed_on("<4>broker\x1f"
                        "13.0123abcd\x1f"
                        "bob\x1f\x1fx",
                        NULL),
              " level=warning process=broker pid=12 session=13.0123abcd user=bob msg=\"x\"\n");
}

/* What was lost is told by who has lost it, and not by each child that is made meanwhile. */
static void test_lost(void)
{
    int pair[2], file = memfd_create("log", 0);
    CHECK(socketpair(AF_UNIX, SOCK_DGRAM, 0, pair) == 0);
    close(pair[1]);
    log_process("master");
    for (int child = 0; child < 2; child++) {
        log_init(pair[0], LOG_TO_MASTER, LOG_L_INFO);
        log_info("lost");
        if (child)
            log_is_session(1);
        CHECK(ftruncate(file, 0) == 0 && lseek(file, 0, SEEK_SET) == 0);
        log_init(file, LOG_TO_FILE, LOG_L_INFO);
        log_info("after");
        ssize_t n = pread(file, out, sizeof(out) - 1, 0);
        out[n > 0 ? n : 0] = '\0';
        CHECK(strstr(out, "after"));
        const char *told = strstr(out, "1 lines of the log before this one were lost");
        CHECK(child ? !told : told != NULL);
    }
    close(pair[0]);
    close(file);
}

int main(void)
{
    RUN(test_text);
    RUN(test_logfmt);
    RUN(test_json);
    RUN(test_journald);
    RUN(test_long);
    RUN(test_full);
    RUN(test_packets);
    RUN(test_trust);
    RUN(test_lost);
    return DONE();
}

/*
 * chat tail: shows what happens as it happens, across restarts of the server, of the network and of
 * itself.
 *
 * Each frame that has a place in the sequence of changes brings a cursor. The last one is kept in a
 * file once the frame was written, so that the next connection, of this process or of a later one,
 * begins right behind it. Who asks for one conversation has another file than who asks for all.
 */
#include <errno.h>
#include <inttypes.h>
#include <json-c/json.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "backoff.h"
#include "event_stream.h"
#include "json.h"
#include "log.h"
#include "login.h"
#include "message.h"
#include "program.h"
#include "request.h"
#include "show.h"
#include "state.h"
#include "target.h"
#include "utf8.h"
#include "verbs.h"

enum { CURSOR_MAX = 256, FIRST_WAIT = 250, MOST_WAIT = 30000, LATEST_WAIT = 300000 };

struct tail {
    int64_t conversation; /* 0: all */
    char *path;           /* of the cursor */
    struct buf cursor;
    bool moved; /* cursor is not in the file yet */
    struct buf out;
    int signals;
    bool connected; /* once, so that it is no wrong URL */
    bool told;      /* that it is away */
    struct backoff backoff;
};

/* --- the cursor --- */

/* Not every character of a URL may be part of a file's name. */
static char *file_for(const struct login *l, int64_t conversation)
{
    char *name, *path;
    int64_t user;
    struct json_object *me = request_object("GET", "/me", NULL);
    if (json_get_id(me, "id", &user) != JSON_OK)
        program_fail(CHAT_FAILED, "%s: the answer has no id", l->server);
    json_object_put(me);
    if (asprintf(&name, "cursor-%.180s-%" PRId64 "-%" PRId64, l->server, user, conversation) < 0)
        die("out of memory");
    for (char *s = name; *s; s++)
        if (strchr("/:[]%", *s))
            *s = '_';
    path = state_path(name);
    free(name);
    return path;
}

/* A path of the command line is one even without a slash. */
static char *named_file(const char *given)
{
    char *path;
    if (asprintf(&path, "%s%s", strchr(given, '/') ? "" : "./", given) < 0)
        die("out of memory");
    return path;
}

static void load_cursor(struct tail *t)
{
    if (!state_read(t->path, &t->cursor))
        return;
    size_t n = buf_len(&t->cursor);
    const char *end = n ? memchr(buf_head(&t->cursor), '\n', n) : NULL;
    if (!end || n > CURSOR_MAX)
        program_fail(CHAT_FAILED, "%s: this is no cursor; remove it", t->path);
    buf_truncate(&t->cursor, (size_t)(end - (const char *)buf_head(&t->cursor)));
}

static void save_cursor(struct tail *t)
{
    struct buf line = BUF_INIT;
    if (!t->moved)
        return;
    buf_append(&line, buf_head(&t->cursor), buf_len(&t->cursor));
    buf_puts(&line, "\n");
    state_write(t->path, &line);
    buf_free(&line);
    t->moved = false;
}

static void move_cursor(struct tail *t, struct json_object *data)
{
    struct text cursor;
    if (json_get_text(data, "cursor", &cursor) != JSON_OK || cursor.n == 0 ||
        cursor.n >= CURSOR_MAX || !utf8_inline(cursor.p, cursor.n))
        return;
    buf_consume(&t->cursor, buf_len(&t->cursor));
    buf_append(&t->cursor, cursor.p, cursor.n);
    t->moved = true;
}

/* --- frames --- */

static bool is_wanted(const struct tail *t, struct text type, struct json_object *data)
{
    int64_t its = 0;
    if (strcmp(type.p, "ping") == 0)
        return false;
    if (!t->conversation || strcmp(type.p, "resumed") == 0 || strcmp(type.p, "error") == 0)
        return true;
    json_get_id(data, "conversation_id", &its);
    return its == t->conversation;
}

static void put(struct tail *t, struct text line, struct json_object *frame)
{
    if (!program.json) {
        message_put_frame(&t->out, frame);
        return;
    }
    show_json(&t->out, line);
    buf_puts(&t->out, "\n");
}

/* The server has lost changes, or the cursor is another server's. */
static void notice_gap(struct json_object *data)
{
    bool recovered;
    if (json_get_bool(data, "recovered", &recovered) == JSON_OK && !recovered)
        program_note(
            "the server does not know where this has stopped: something may be missing here; "
            "see chat history");
}

/* An error in the stream is its last line: nobody may go on with this token. */
static void __attribute__((noreturn)) leave(struct tail *t, struct json_object *frame)
{
    struct text said = {"", 0};
    json_get_text(frame, "error", &said);
    show_print(&t->out);
    save_cursor(t);
    program_fail(CHAT_DENIED, "%.*s (chat login)", (int)(said.n < 500 ? said.n : 500), said.p);
}

static void take_line(struct tail *t, struct text line)
{
    const char *error;
    struct text type;
    struct json_object *data = NULL, *frame = json_parse_object(line.p, line.n, &error);
    if (!frame || json_get_text(frame, "type", &type) != JSON_OK)
        program_fail(CHAT_FAILED, "this is no stream of chatd: %s",
                     frame ? "a type is missing" : error);
    json_get_object(frame, "data", &data);
    if (is_wanted(t, type, data))
        put(t, line, frame);
    move_cursor(t, data);
    if (strcmp(type.p, "resumed") == 0)
        notice_gap(data);
    if (strcmp(type.p, "error") == 0)
        leave(t, frame);
    json_object_put(frame);
}

/* What has come is written, and only then counts as seen. */
static void take_lines(struct tail *t, struct event_stream *s)
{
    struct text line;
    while (event_stream_line(s, &line))
        take_line(t, line);
    show_print(&t->out);
    save_cursor(t);
}

/* --- the connection --- */

static void arrived(struct tail *t)
{
    if (t->told)
        program_note("connected again");
    t->connected = true;
    t->told = false;
    backoff_reset(&t->backoff);
}

/* The stream as an answer, to be judged as others are. */
static void judge(struct tail *t, struct event_stream *s)
{
    struct answer a = {.status = s->status, .retry_after = s->retry_after};
    if (s->status == 200)
        return;
    a.fatal = s->code == CURLE_PEER_FAILED_VERIFICATION || s->code == CURLE_SSL_CACERT_BADFILE;
    snprintf(a.error, sizeof(a.error), "%s", s->error);
    buf_append(&a.body, buf_head(&s->in), buf_len(&s->in));
    if (!t->connected || !answer_temporary(&a))
        answer_check(&a);
    answer_free(&a);
}

/* Until it ends. False when a signal asks to stop. */
static bool follow(struct tail *t, struct event_stream *s)
{
    while (event_stream_wait(s, t->signals)) {
        if (s->status != 200)
            continue;
        arrived(t);
        take_lines(t, s);
    }
    return s->ended;
}

/* False when a signal asks to stop. */
static bool wait_for_next(struct tail *t, const struct event_stream *s)
{
    struct pollfd p = {.fd = t->signals, .events = POLLIN};
    int64_t own = backoff_failed(&t->backoff), asked = (int64_t)s->retry_after * 1000;
    int64_t pause = asked > LATEST_WAIT ? LATEST_WAIT : asked > 0 ? asked : own;
    if (!t->told)
        program_note("%s; trying again", s->status > 200 ? "the server is busy" : s->error);
    t->told = true;
    return poll(&p, 1, (int)pause) == 0;
}

static bool once(struct tail *t)
{
    struct event_stream s;
    event_stream_open(&s, (struct text){(const char *)buf_head(&t->cursor), buf_len(&t->cursor)});
    bool go_on = follow(t, &s);
    if (go_on) {
        judge(t, &s);
        go_on = wait_for_next(t, &s);
    }
    event_stream_close(&s);
    return go_on;
}

/* Signals come when nothing is half written. */
static int take_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    sigprocmask(SIG_BLOCK, &set, NULL);
    int fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        die("signalfd: %s", strerror(errno));
    return fd;
}

void tail_run(const struct login *l, char **words)
{
    struct tail t = {.backoff = {.first = FIRST_WAIT, .most = MOST_WAIT}};
    if (words[0]) {
        struct target target;
        target_find(&target, words[0]);
        t.conversation = target.conversation;
        target_free(&target);
    }
    t.path = program.cursor_file ? named_file(program.cursor_file) : file_for(l, t.conversation);
    if (!program.now)
        load_cursor(&t);
    t.signals = take_signals();
    while (once(&t))
        continue;
    close(t.signals);
    buf_free(&t.cursor);
    buf_free(&t.out);
    free(t.path);
}

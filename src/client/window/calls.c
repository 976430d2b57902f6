/* Requests and the stream without waiting; see calls.h. */
#include "calls.h"

#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>

#include "log.h"

struct call {
    TAILQ_ENTRY(call) entry;
    CURL *curl;
    struct curl_slist *fields;
    char *path, *key;
    struct buf body;
    struct answer answer;
    calls_done *done;
    void *arg;
    int64_t about;
};

static TAILQ_HEAD(, call) pending = TAILQ_HEAD_INITIALIZER(pending);
static CURLM *multi;

static struct {
    CURL *curl;
    struct curl_slist *fields;
    struct buf in;
    size_t taken;         /* bytes of the line that was given last */
    struct answer answer; /* how it ended */
    bool ended;
} stream;

static void add(CURL *curl)
{
    if (!multi)
        multi = curl_multi_init();
    if (!multi || curl_multi_add_handle(multi, curl) != CURLM_OK)
        die("libcurl has no handle");
}

void calls_ask(const char *method, const char *path, struct text body, const char *key,
               calls_done *done, void *arg, int64_t about)
{
    struct call *c = xcalloc(1, sizeof(*c));
    c->path = xstrdup(path);
    c->key = key ? xstrdup(key) : NULL;
    c->done = done;
    c->arg = arg;
    c->about = about;
    if (body.p)
        buf_append(&c->body, body.p, body.n);
    struct request r = {method, c->path, body.p ? &c->body : NULL, c->key};
    c->curl = request_begin(&r, &c->answer, &c->fields);
    add(c->curl);
    TAILQ_INSERT_TAIL(&pending, c, entry);
}

static void forget(struct call *c)
{
    TAILQ_REMOVE(&pending, c, entry);
    curl_multi_remove_handle(multi, c->curl);
    curl_easy_cleanup(c->curl);
    curl_slist_free_all(c->fields);
    answer_free(&c->answer);
    buf_free(&c->body);
    free(c->path);
    free(c->key);
    free(c);
}

/* --- the stream --- */

void calls_stream_open(struct text cursor)
{
    struct buf path = BUF_INIT;
    buf_puts(&path, cursor.n ? "/events?cursor=" : "/events");
    request_escape(&path, cursor);
    buf_append(&path, "", 1);
    stream.curl = request_handle((const char *)buf_head(&path), &stream.fields);
    curl_easy_setopt(stream.curl, CURLOPT_HTTPHEADER, stream.fields);
    curl_easy_setopt(stream.curl, CURLOPT_WRITEFUNCTION, request_take);
    curl_easy_setopt(stream.curl, CURLOPT_WRITEDATA, &stream.in);
    curl_easy_setopt(stream.curl, CURLOPT_ERRORBUFFER, stream.answer.error);
    add(stream.curl);
    buf_free(&path);
}

void calls_stream_close(void)
{
    if (!stream.curl)
        return;
    curl_multi_remove_handle(multi, stream.curl);
    curl_easy_cleanup(stream.curl);
    curl_slist_free_all(stream.fields);
    buf_free(&stream.in);
    answer_free(&stream.answer);
    memset(&stream, 0, sizeof(stream));
}

bool calls_stream_is_open(void)
{
    return stream.curl != NULL;
}

bool calls_stream_line(struct text *line)
{
    long status = 0;
    buf_consume(&stream.in, stream.taken);
    stream.taken = 0;
    if (stream.curl)
        curl_easy_getinfo(stream.curl, CURLINFO_RESPONSE_CODE, &status);
    size_t n = status == 200 ? buf_len(&stream.in) : 0;
    const char *p = (const char *)buf_head(&stream.in), *end = n ? memchr(p, '\n', n) : NULL;
    if (!end)
        return false;
    *line = (struct text){p, (size_t)(end - p)};
    stream.taken = line->n + 1;
    return true;
}

const struct answer *calls_stream_ended(void)
{
    return stream.ended ? &stream.answer : NULL;
}

/* --- the wait --- */

static struct call *find(const CURL *curl)
{
    struct call *c;
    TAILQ_FOREACH (c, &pending, entry) {
        if (c->curl == curl)
            return c;
    }
    return NULL;
}

/* What came with another status than 200 is no line, but the body of the answer. */
static void end_stream(CURLcode code)
{
    struct answer *a = &stream.answer;
    stream.ended = true;
    request_end(stream.curl, code, a);
    if (a->status != 200 && buf_len(&stream.in))
        buf_append(&a->body, buf_head(&stream.in), buf_len(&stream.in));
}

static void finish(CURL *curl, CURLcode code)
{
    struct call *c = find(curl);
    if (!c) {
        end_stream(code);
        return;
    }
    request_end(curl, code, &c->answer);
    c->done(c->arg, c->about, &c->answer);
    forget(c);
}

void calls_wait(int terminal, int signals, int timeout)
{
    struct curl_waitfd own[2] = {{.fd = terminal, .events = CURL_WAIT_POLLIN},
                                 {.fd = signals, .events = CURL_WAIT_POLLIN}};
    int running, left;
    if (curl_multi_poll(multi, own, 2, timeout, NULL) != CURLM_OK ||
        curl_multi_perform(multi, &running) != CURLM_OK)
        die("libcurl: the wait has failed");
    for (CURLMsg *m; (m = curl_multi_info_read(multi, &left));)
        if (m->msg == CURLMSG_DONE)
            finish(m->easy_handle, m->data.result);
}

void calls_free(void)
{
    struct call *c;
    calls_stream_close();
    while ((c = TAILQ_FIRST(&pending)))
        forget(c);
    if (multi)
        curl_multi_cleanup(multi);
    multi = NULL;
}

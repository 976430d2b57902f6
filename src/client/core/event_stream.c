/* GET /events; see event_stream.h. */
#include "event_stream.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "request.h"

enum { WAIT_MS = 60000 };

void event_stream_open(struct event_stream *s, struct text cursor)
{
    struct buf path = BUF_INIT;
    *s = (struct event_stream){.multi = curl_multi_init()};
    if (!s->multi)
        die("libcurl has no handle");
    buf_puts(&path, cursor.n ? "/events?cursor=" : "/events");
    request_escape(&path, cursor);
    buf_append(&path, "", 1);
    s->curl = request_handle((const char *)buf_head(&path), &s->fields);
    curl_easy_setopt(s->curl, CURLOPT_HTTPHEADER, s->fields);
    curl_easy_setopt(s->curl, CURLOPT_WRITEFUNCTION, request_take);
    curl_easy_setopt(s->curl, CURLOPT_WRITEDATA, &s->in);
    curl_easy_setopt(s->curl, CURLOPT_ERRORBUFFER, s->error);
    curl_multi_add_handle(s->multi, s->curl);
    buf_free(&path);
}

void event_stream_close(struct event_stream *s)
{
    curl_multi_remove_handle(s->multi, s->curl);
    curl_easy_cleanup(s->curl);
    curl_multi_cleanup(s->multi);
    curl_slist_free_all(s->fields);
    buf_free(&s->in);
    *s = (struct event_stream){0};
}

static void notice_end(struct event_stream *s)
{
    int left;
    CURLMsg *m = curl_multi_info_read(s->multi, &left);
    if (!m || m->msg != CURLMSG_DONE)
        return;
    s->ended = true;
    s->code = m->data.result;
    s->retry_after = request_retry_after(s->curl);
    if (!*s->error)
        snprintf(s->error, sizeof(s->error), "%s",
                 s->code == CURLE_OK ? "the stream has ended" : curl_easy_strerror(s->code));
}

static void perform(struct event_stream *s)
{
    int running;
    if (curl_multi_perform(s->multi, &running) != CURLM_OK)
        die("libcurl: the stream cannot be read");
    curl_easy_getinfo(s->curl, CURLINFO_RESPONSE_CODE, &s->status);
    notice_end(s);
}

bool event_stream_wait(struct event_stream *s, int wake_fd)
{
    size_t before = buf_len(&s->in);
    struct curl_waitfd wake = {.fd = wake_fd, .events = CURL_WAIT_POLLIN};
    while (!s->ended && buf_len(&s->in) == before) {
        perform(s);
        if (s->ended || buf_len(&s->in) != before)
            break;
        if (curl_multi_poll(s->multi, &wake, 1, WAIT_MS, NULL) != CURLM_OK)
            die("libcurl: poll has failed");
        if (wake.revents)
            return false;
    }
    return buf_len(&s->in) != before;
}

bool event_stream_line(struct event_stream *s, struct text *line)
{
    buf_consume(&s->in, s->taken);
    s->taken = 0;
    const char *p = (const char *)buf_head(&s->in);
    size_t n = buf_len(&s->in);
    const char *end = n ? memchr(p, '\n', n) : NULL;
    if (!end)
        return false;
    *line = (struct text){p, (size_t)(end - p)};
    s->taken = line->n + 1;
    return true;
}

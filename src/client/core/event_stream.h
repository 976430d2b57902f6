/* What GET /events brings, line by line, as it comes. */
#ifndef EVENT_STREAM_H
#define EVENT_STREAM_H

#include <curl/curl.h>
#include <stdbool.h>

#include "buf.h"

struct event_stream {
    CURLM *multi;
    CURL *curl;
    struct curl_slist *fields;
    struct buf in;
    size_t taken; /* bytes of the line that was given last */
    long status;  /* 0: nothing came */
    long retry_after;
    bool ended;
    CURLcode code; /* how it ended */
    char error[CURL_ERROR_SIZE];
};

/* Asks for everything after this cursor, or from now on if that is empty. */
void event_stream_open(struct event_stream *s, struct text cursor);
void event_stream_close(struct event_stream *s);

/* Waits until something comes, the stream ends, or wake_fd can be read. False when it has ended, or
 * was woken. */
bool event_stream_wait(struct event_stream *s, int wake_fd);

/* The next whole line that has come, without its end; valid until the next call. */
bool event_stream_line(struct event_stream *s, struct text *line);

#endif

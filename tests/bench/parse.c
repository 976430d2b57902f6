/*
 * One usual input through one of the parsers, again and again, so that tests/guard.bats can count
 * what one of them costs: parse PARSER TIMES, where PARSER is http, ws, frame or json.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "chat_frame.h"
#include "http.h"
#include "json.h"
#include "ws.h"

static const char request[] =
    "GET /messages/2?limit=50 HTTP/1.1\r\nHost: chat.example.org\r\n"
    "User-Agent: Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0\r\n"
    "Accept: application/json\r\nAccept-Language: en-US,en;q=0.5\r\n"
    "Accept-Encoding: gzip, deflate\r\nOrigin: https://chat.example.org\r\n"
    "Authorization: Bearer "
    "aaaaaaaaaaaaaaaaaaaa.bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb.cccccccc\r\n"
    "Connection: keep-alive\r\n\r\n";

static const char message[] = "{\"type\":\"message\",\"id\":\"c-7f\",\"content\":\"Hello, this is "
                              "a message of the usual length.\","
                              "\"data\":{\"receiver_id\":2}}";

static bool parse_http(void)
{
    struct http_request r;
    return http_request_parse((const uint8_t *)request, sizeof(request) - 1, 8192, &r) ==
           (long)sizeof(request) - 1;
}

/* A frame of 1,000 bytes of text, masked as a client must. */
enum { TEXT = 1000, HEAD = 8 };
static uint8_t frame[HEAD + TEXT] = {0x81, 0x80 | 126, TEXT >> 8, TEXT & 0xff, 1, 2, 3, 4};

static void make_frame(void)
{
    for (size_t i = 0; i < TEXT; i++)
        frame[HEAD + i] = 'x' ^ frame[4 + i % 4];
}

static bool parse_ws(void)
{
    struct ws_reader reader;
    struct ws_data data;
    struct buf in = BUF_INIT;
    buf_append(&in, frame, sizeof(frame));
    ws_reader_init(&reader, 65536, 65536);
    bool good = ws_read(&reader, &in, &data) == WS_TEXT && data.n == TEXT;
    ws_reader_free(&reader);
    buf_free(&in);
    return good;
}

static bool parse_frame(void)
{
    struct chat_frame f;
    chat_frame_parse(&f, message, sizeof(message) - 1, 16384);
    bool good = f.type == CHAT_MESSAGE && f.receiver == 2;
    chat_frame_free(&f);
    return good;
}

static bool parse_json(void)
{
    const char *error;
    return json_check(message, sizeof(message) - 1, JSON_MAX_DEPTH, &error);
}

static const struct {
    const char *name;
    bool (*parse)(void);
} parsers[] = {
    {"http", parse_http}, {"ws", parse_ws}, {"frame", parse_frame}, {"json", parse_json}};

int main(int argc, char **argv)
{
    long times = argc == 3 ? atol(argv[2]) : 0;
    make_frame();
    for (size_t i = 0; times > 0 && i < sizeof(parsers) / sizeof(*parsers); i++) {
        if (strcmp(parsers[i].name, argv[1]) != 0)
            continue;
        for (long n = 0; n < times; n++) {
            if (!parsers[i].parse()) {
                fprintf(stderr, "parse: %s refused a good input\n", argv[1]);
                return 1;
            }
        }
        return 0;
    }
    fputs("usage: parse http|ws|frame|json TIMES\n", stderr);
    return 2;
}

/* The client's side of a WebSocket, for text frames that come in one piece; see load.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "load.h"

enum { OP_TEXT = 1, OP_CLOSE = 8, OP_PING = 9, OP_PONG = 10, LARGEST = 61000 };

unsigned long ws_pings, ws_statuses;

/* The mask is there for proxies; one for all frames is enough here. */
static const unsigned char mask[4] = {0x5a, 0x13, 0xc6, 0x2f};

static void send_frame(struct ws *w, int op, const char *p, size_t n)
{
    unsigned char frame[LARGEST + 8] = {(unsigned char)(0x80 | op)};
    size_t head = n < 126 ? 2 : 4;
    if (n > LARGEST)
        quit("a frame of %zu bytes is not sent", n);
    frame[1] = (unsigned char)(0x80 | (n < 126 ? n : 126));
    if (head == 4) {
        frame[2] = (unsigned char)(n >> 8);
        frame[3] = (unsigned char)n;
    }
    memcpy(frame + head, mask, 4);
    for (size_t i = 0; i < n; i++)
        frame[head + 4 + i] = (unsigned char)p[i] ^ mask[i % 4];
    net_send(&w->conn, frame, head + 4 + n);
}

void ws_send_text(struct ws *w, const char *text, size_t n)
{
    send_frame(w, OP_TEXT, text, n);
}

bool ws_is(const char *text, size_t n, const char *type)
{
    char start[64];
    size_t size = (size_t)snprintf(start, sizeof(start), "{\"type\":\"%s\"", type);
    return n > size && memcmp(text, start, size) == 0;
}

uint64_t ws_number(const char *text, const char *mark)
{
    const char *at = strstr(text, mark);
    if (!at)
        quit("an unexpected frame: %s", text);
    return strtoull(at + strlen(mark), NULL, 10);
}

static void take_text(struct ws *w, char *text, size_t n)
{
    /* Behind the last byte stands the next frame, or room that read() left. */
    char saved = text[n];
    text[n] = 0;
    if (ws_is(text, n, "user_status"))
        ws_statuses++;
    else if (ws_is(text, n, "error"))
        quit("the server says %s", text);
    else
        w->text(w, text, n);
    text[n] = saved;
}

static void take_frame(struct ws *w, const unsigned char *head, char *p, size_t n)
{
    if (!(head[0] & 0x80) || (head[1] & 0x80))
        quit("a frame that is in pieces, or masked");
    switch (head[0] & 0x0f) {
    case OP_TEXT:
        take_text(w, p, n);
        break;
    case OP_PING:
        ws_pings++;
        send_frame(w, OP_PONG, p, n);
        break;
    case OP_PONG:
        break;
    default:
        quit("the server closed a WebSocket: %d",
             n >= 2 ? (unsigned char)p[0] << 8 | (unsigned char)p[1] : 0);
    }
}

/* The size of the frame's head, and its payload's; false while the head is not all there. */
static bool frame_head(const unsigned char *p, size_t there, size_t *head, size_t *n)
{
    if (there < 2)
        return false;
    *n = p[1] & 0x7f;
    size_t more = *n < 126 ? 0 : *n == 126 ? 2 : 8;
    *head = 2 + more;
    if (there < *head)
        return false;
    if (more > 0)
        *n = 0;
    for (size_t i = 0; i < more; i++)
        *n = *n << 8 | p[2 + i];
    return true;
}

static void take_frames(struct ws *w)
{
    struct bytes *in = &w->conn.in;
    size_t at = 0, head, n;
    /* Room for the NUL behind the last frame. */
    bytes_add(in, "", 1);
    in->used--;
    while (frame_head((unsigned char *)in->p + at, in->used - at, &head, &n) &&
           in->used - at - head >= n) {
        take_frame(w, (unsigned char *)in->p + at, in->p + at + head, n);
        at += head + n;
    }
    bytes_drop(in, at);
}

static void readable(struct conn *c)
{
    struct ws *w = (struct ws *)c;
    struct answer a;
    if (!w->is_open) {
        if (!http_answer(c, &a))
            return;
        if (a.status != 101)
            quit("upgrade: %d %.*s", a.status, (int)a.size, a.body);
        http_drop(c, &a);
        w->is_open = true;
        w->opened(w);
    }
    take_frames(w);
}

static void ask(struct conn *c)
{
    struct ws *w = (struct ws *)c;
    char head[4096];
    int n =
        snprintf(head, sizeof(head),
                 "GET /ws%s%s HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
                 "Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                 "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nAuthorization: Bearer %s\r\n\r\n",
                 w->cursor ? "?cursor=" : "", w->cursor ? w->cursor : "", w->user->token);
    if ((size_t)n >= sizeof(head))
        quit("a handshake of more than %zu bytes", sizeof(head));
    net_send(c, head, (size_t)n);
}

void ws_open(struct ws *w)
{
    w->conn = (struct conn){.opened = ask, .readable = readable};
    w->is_open = false;
    net_dial(&w->conn);
}

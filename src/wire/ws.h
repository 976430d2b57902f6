/*
 * WebSocket (RFC 6455), the server's side, without any I/O: frames in, frames out, the handshake.
 *
 * The reader turns the bytes of one client into messages and control frames. It refuses what the
 * RFC says must fail the connection, and says with which close code. It trusts no length: it stores
 * a frame's payload as it arrives, skips and reports a message above the limit, and ends the
 * connection on one far above. Called by the session only.
 */
#ifndef WS_H
#define WS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <time.h>

#include "buf.h"
#include "http.h"
#include "utf8.h"
#include "ws_deflate.h"

enum ws_opcode {
    WS_OP_CONTINUATION = 0,
    WS_OP_TEXT = 1,
    WS_OP_BINARY = 2,
    WS_OP_CLOSE = 8,
    WS_OP_PING = 9,
    WS_OP_PONG = 10,
};

enum ws_event {
    WS_NEED_MORE, /* nothing until more bytes come */
    WS_TEXT,      /* a message, whole and valid UTF-8 */
    WS_BINARY,    /* a message, whole */
    WS_TOO_LARGE, /* a message ended that was above max_message; its content is gone */
    WS_PING,      /* to be answered by a pong with the same p and n */
    WS_PONG,
    WS_CLOSE, /* the client closes: code (1005: it gave none), and its reason in p and n */
    WS_FAIL,  /* the client broke the protocol: close with code and reason */
};

/* What comes with an event. Only WS_FAIL sets reason, a static text fit for the close frame. */
struct ws_data {
    const uint8_t *p; /* never NULL with a message or a control frame, even when n is 0 */
    size_t n;
    int code;
    const char *reason;
};

/* All state of one incoming direction. Between messages it holds no memory besides itself. */
struct ws_reader {
    size_t max_message;
    uint64_t max_skip;
    uint64_t length;    /* of the message in progress, by the headers of its frames so far */
    uint64_t frames;    /* that have begun, of all kinds */
    uint64_t left;      /* payload of the data frame in progress that has not come yet */
    struct buf message; /* payload of the message in progress */
    size_t held;        /* bytes at the front of the input that the last event points to */
    struct utf8 utf8;   /* of the text in progress; each that ends well leaves it at the start */
    struct ws_deflate deflate;  /* what was agreed on */
    struct ws_inflate *inflate; /* of the message in progress, if that is a compressed one */
    uint8_t mask[4];            /* turned so that mask[0] is for the next byte */
    uint8_t opcode;             /* of the message in progress; 0 between messages */
    bool fin;                   /* the frame in progress is its message's last */
    bool in_frame;              /* a data frame's header has been read, its payload not all */
    bool compressed;            /* the message in progress is, in all its frames */
    bool skip;                  /* the message in progress is too large to store */
    bool reported;              /* the last event was a message: forget it at the next call */
    bool ended;                 /* after WS_CLOSE and WS_FAIL */
};

/* Messages up to max_message bytes are delivered, longer ones are skipped up to max_skip bytes, and
 * one that announces more fails with 1009 at once. */
void ws_reader_init(struct ws_reader *r, size_t max_message, uint64_t max_skip);

/* Lets the client send compressed messages from now on, if that was agreed. One that inflates to
 * more than max_message bytes fails with 1009 at once: skipping it would cost more than the
 * client's own bytes. */
void ws_reader_allow_deflate(struct ws_reader *r, const struct ws_deflate *agreed);

/* Frees what the reader holds. It must be initialised again before further use. */
void ws_reader_free(struct ws_reader *r);

/* Takes bytes from in until one event is complete; to be called until it says WS_NEED_MORE. The
 * payload that out points to is valid until the next call, as long as in is left alone till then:
 * a message that came in one piece is not copied but lies in there, unmasked, and is taken out of
 * in by the next call. Never leaves more than one header and a control frame in in. After WS_CLOSE
 * and WS_FAIL all further input is dropped. */
enum ws_event ws_read(struct ws_reader *r, struct buf *in, struct ws_data *out);

/* Appends one unfragmented frame, unmasked as a server's must be. Control frames: n at most 125. */
void ws_put_frame(struct buf *out, enum ws_opcode op, const void *p, size_t n);

/* Appends a message in one frame, compressed if that was agreed and makes it shorter. */
void ws_put_message(struct buf *out, enum ws_opcode op, const void *p, size_t n,
                    const struct ws_deflate *agreed);

/* Appends a close frame. Code 0 or 1005: without a payload. The reason (UTF-8, may be NULL) is cut
 * to what fits, at the boundary of a code point. */
void ws_put_close(struct buf *out, int code, const char *reason);

/* Whether the request, which is a GET, is an opening handshake (RFC 6455 4.2.1). Returns 0, or the
 * status to refuse with; *error is then static text that says why. *deflate is what the client's
 * offers lead to, for the server to take or to leave. */
int ws_handshake_check(const struct http_request *r, struct ws_deflate *deflate,
                       const char **error);

/* Appends the response 101 to a valid handshake. protocol: the subprotocol that is selected, or
 * NULL. */
void ws_handshake_accept(struct buf *out, const struct http_request *r, const char *protocol,
                         const struct ws_deflate *agreed, time_t now);

/* Whether a Sec-WebSocket-Key is what the RFC asks for: 16 bytes in base64. */
bool ws_key_valid(const char *key, size_t n);

/* Writes the Sec-WebSocket-Accept for a key that is valid, with a NUL. */
void ws_accept_key(const char *key, size_t n, char accept[29]);

#endif

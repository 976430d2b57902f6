/*
 * permessage-deflate (RFC 7692): the agreement, and the compression of whole messages.
 *
 * No compressor outlives its message. The server insists on that in both directions
 * (server_no_context_takeover, client_no_context_takeover), so an idle connection holds no zlib
 * memory, and the size of one message reveals nothing of another. A client's data is inflated as it
 * arrives, up to the size that the caller allows; a few bytes cannot cost more memory or work than
 * that. Used by ws.c, and by callers that write messages.
 */
#ifndef WS_DEFLATE_H
#define WS_DEFLATE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "buf.h"
#include "http.h"

/* What client and server have agreed on. All zero bytes: no compression. */
struct ws_deflate {
    bool on;
    uint8_t server_bits; /* server_max_window_bits that the client asked for; 0: it did not */
    uint8_t client_bits; /* client_max_window_bits that it offered; 0: none */
};

/* Reads the offers of Sec-WebSocket-Extensions and accepts the first that can be met; *d is what
 * was agreed, with on = false if there is none. Returns false if the field is malformed, which
 * must fail the handshake (RFC 6455 9.1). */
bool ws_deflate_agree(const struct http_request *r, struct ws_deflate *d);

/* Appends the field Sec-WebSocket-Extensions that accepts what was agreed. */
void ws_deflate_put_field(struct buf *out, const struct ws_deflate *d);

/* Appends n bytes, compressed as the payload of one message, to out. False, with out unchanged, if
 * they are too few to be worth it, would not get shorter, or need a window that zlib does not
 * support. */
bool ws_deflate_pack(struct buf *out, const void *p, size_t n, const struct ws_deflate *d);

/* A message that is being inflated. */
struct ws_inflate;

enum ws_inflated { WS_INFLATE_OK, WS_INFLATE_BROKEN, WS_INFLATE_TOO_LARGE };

/* Begins a message of a client with this agreement. */
struct ws_inflate *ws_inflate_new(const struct ws_deflate *d);

/* Frees *s unless it is NULL, and clears it. */
void ws_inflate_free(struct ws_inflate **s);

/* Inflates the next n bytes of the message's payload onto out, which holds what came before and
 * nothing else. More than max bytes in out is WS_INFLATE_TOO_LARGE. After anything but
 * WS_INFLATE_OK the message is to be given up. */
enum ws_inflated ws_inflate(struct ws_inflate *s, const void *p, size_t n, size_t max,
                            struct buf *out);

/* The payload is complete: checks that the compressed data is, too. */
enum ws_inflated ws_inflate_end(struct ws_inflate *s, size_t max, struct buf *out);

#endif

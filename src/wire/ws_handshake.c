/*
 * The opening handshake (RFC 6455 4.2); see ws.h.
 *
 * SHA-1 protects nothing here: it shows the client that this is a WebSocket server, not something
 * that echoes its input. SHA1() looks up a provider each time, which touches two dozen pages that a
 * session needs for nothing else; the older, deprecated functions use no provider.
 */
#define OPENSSL_API_COMPAT 10101 /* the last version that does not warn of them */

#include "ws.h"

#include <string.h>

#include <openssl/evp.h>
#include <openssl/sha.h>

#include "log.h"

enum { KEY_LEN = 24 };

static bool is_base64(char c)
{
    return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
           c == '/';
}

/* The last digit's four unused bits may be anything: they are not zero in the RFC's own example. */
bool ws_key_valid(const char *key, size_t n)
{
    if (n != KEY_LEN || key[22] != '=' || key[23] != '=')
        return false;
    for (size_t i = 0; i < 22; i++)
        if (!is_base64(key[i]))
            return false;
    return true;
}

void ws_accept_key(const char *key, size_t n, char accept[29])
{
    static const char guid[] = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";
    unsigned char digest[SHA_DIGEST_LENGTH];
    if (n != KEY_LEN)
        bug("ws_accept_key: a key of %zu bytes", n);
    SHA_CTX sha;
    SHA1_Init(&sha);
    SHA1_Update(&sha, key, KEY_LEN);
    SHA1_Update(&sha, guid, sizeof(guid) - 1);
    SHA1_Final(digest, &sha);
    EVP_EncodeBlock((unsigned char *)accept, digest, sizeof(digest));
}

/* An upgrade changes the meaning of the bytes after it: one server would read a body there as
 * frames, another as a body. */
static bool has_body(const struct http_request *r)
{
    return r->chunked || r->content_length > 0;
}

static int refuse_handshake(const char **error, int status, const char *why)
{
    *error = why;
    return status;
}

int ws_handshake_check(const struct http_request *r, struct ws_deflate *deflate, const char **error)
{
    const struct text *version = http_request_field(r, "Sec-WebSocket-Version");
    const struct text *key = http_request_field(r, "Sec-WebSocket-Key");
    if (r->minor < 1 || !r->keep_alive || !http_request_has_token(r, "Upgrade", "websocket") ||
        !http_request_has_token(r, "Connection", "upgrade"))
        return refuse_handshake(
            error, 426, "This is a WebSocket: send Connection: Upgrade and Upgrade: websocket");
    if (!version || !http_text_is(*version, "13"))
        return refuse_handshake(error, 426, "Sec-WebSocket-Version must be 13");
    if (!key || !ws_key_valid(key->p, key->n))
        return refuse_handshake(error, 400,
                                "Sec-WebSocket-Key must be the base64 form of 16 bytes");
    if (has_body(r))
        return refuse_handshake(error, 400, "A handshake has no body: leave it out");
    if (!ws_deflate_agree(r, deflate))
        return refuse_handshake(error, 400, "Sec-WebSocket-Extensions is malformed");
    return 0;
}

void ws_handshake_accept(struct buf *out, const struct http_request *r, const char *protocol,
                         const struct ws_deflate *agreed, time_t now)
{
    const struct text *key = http_request_field(r, "Sec-WebSocket-Key");
    char accept[29];
    ws_accept_key(key->p, key->n, accept);
    http_response_begin(out, 101, now);
    http_response_field(out, "Upgrade", "websocket");
    http_response_field(out, "Connection", "Upgrade");
    http_response_field(out, "Sec-WebSocket-Accept", accept);
    if (protocol)
        http_response_field(out, "Sec-WebSocket-Protocol", protocol);
    if (agreed->on)
        ws_deflate_put_field(out, agreed);
    http_response_end(out);
}

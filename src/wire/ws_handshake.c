/*
 * The one computation of the WebSocket handshake; see ws.h.
 *
 * SHA-1 protects nothing here: it shows a client that it speaks to a WebSocket server and not to
 * something that echoes what it is sent.
 */
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
    unsigned char text[KEY_LEN + sizeof(guid) - 1], digest[SHA_DIGEST_LENGTH];
    if (n != KEY_LEN)
        bug("ws_accept_key: a key of %zu bytes", n);
    memcpy(text, key, KEY_LEN);
    memcpy(text + KEY_LEN, guid, sizeof(guid) - 1);
    SHA1(text, sizeof(text), digest);
    EVP_EncodeBlock((unsigned char *)accept, digest, sizeof(digest));
}

/* Keys of tokens; see token_keys.h. */
#include "token_keys.h"

#include <openssl/evp.h>
#include <openssl/sha.h>
#include <openssl/x509.h>
#include <stdlib.h>
#include <string.h>

#include "buf.h"
#include "log.h"

enum { KID_BYTES = 8, PEM_LINE = 64 };

/* Identifies a key without revealing it: the start of its hash, in base64url. */
static void name_key(char kid[TOKEN_KID], const char *secret)
{
    static const char label[] = "chatd token key";
    struct buf text = BUF_INIT;
    unsigned char hash[SHA256_DIGEST_LENGTH], base64[16];
    buf_reserve(&text, sizeof(label) + strlen(secret));
    buf_append(&text, label, sizeof(label));
    buf_puts(&text, secret);
    SHA256(buf_head(&text), buf_len(&text), hash);
    buf_wipe(&text);
    EVP_EncodeBlock(base64, hash, KID_BYTES); /* 11 characters and a "=" */
    for (size_t i = 0; i < TOKEN_KID - 1; i++)
        kid[i] = (char)(base64[i] == '+' ? '-' : base64[i] == '/' ? '_' : base64[i]);
    kid[TOKEN_KID - 1] = '\0';
}

static struct token_key *add_key(struct token_keys *k, enum token_algorithm algorithm, char *bytes)
{
    k->keys = xrealloc(k->keys, (k->count + 1) * sizeof(*k->keys));
    struct token_key *key = &k->keys[k->count++];
    *key = (struct token_key){.algorithm = algorithm, .bytes = bytes, .size = (int)strlen(bytes)};
    return key;
}

void token_keys_add_secret(struct token_keys *k, const char *secret)
{
    if (!*secret)
        bug("an empty key");
    struct token_key *key = add_key(k, TOKEN_HS256, xstrdup(secret));
    name_key(key->kid, secret);
}

/* The key decides its algorithm, never a token. */
static enum token_algorithm algorithm_of(const char *base64, size_t n)
{
    unsigned char *der = xcalloc(1, n + 1);
    const unsigned char *at = der;
    int size = EVP_DecodeBlock(der, (const unsigned char *)base64, (int)n);
    EVP_PKEY *key = size > 0 ? d2i_PUBKEY(NULL, &at, size) : NULL;
    int kind = key ? EVP_PKEY_get_base_id(key) : 0;
    EVP_PKEY_free(key);
    free(der);
    if (kind != EVP_PKEY_RSA && kind != EVP_PKEY_EC)
        bug("an invalid public key");
    return kind == EVP_PKEY_RSA ? TOKEN_RS256 : TOKEN_ES256;
}

static char *make_pem(const char *base64, size_t n)
{
    struct buf pem = BUF_INIT;
    buf_puts(&pem, "-----BEGIN PUBLIC KEY-----\n");
    for (size_t at = 0; at < n; at += PEM_LINE) {
        buf_append(&pem, base64 + at, n - at < PEM_LINE ? n - at : PEM_LINE);
        buf_puts(&pem, "\n");
    }
    buf_puts(&pem, "-----END PUBLIC KEY-----\n");
    char *text = xstrndup((const char *)buf_head(&pem), buf_len(&pem));
    buf_free(&pem);
    return text;
}

void token_keys_add_public(struct token_keys *k, const char *list)
{
    while (*list) {
        size_t n = strcspn(list, ",");
        if (n > 0)
            add_key(k, algorithm_of(list, n), make_pem(list, n));
        list += n + (list[n] != '\0');
    }
}

void token_keys_free(struct token_keys *k)
{
    for (size_t i = 0; i < k->count; i++) {
        explicit_bzero(k->keys[i].bytes, (size_t)k->keys[i].size);
        free(k->keys[i].bytes);
    }
    free(k->keys);
    *k = (struct token_keys){0};
}

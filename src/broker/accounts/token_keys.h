/*
 * The keys that verify tokens: our own secrets (HS256), the first of which signs, and the public
 * keys of outside issuers (RS256, ES256). A key serves one algorithm.
 */
#ifndef TOKEN_KEYS_H
#define TOKEN_KEYS_H

#include <stddef.h>

enum token_algorithm { TOKEN_HS256, TOKEN_RS256, TOKEN_ES256 };

enum { TOKEN_KID = 12 };

struct token_key {
    enum token_algorithm algorithm;
    char kid[TOKEN_KID]; /* of a secret: the kid of its tokens; otherwise empty */
    char *bytes;         /* owned, wiped: the secret, or the public key as PEM */
    int size;
};

/* All zero bytes: none. */
struct token_keys {
    struct token_key *keys;
    size_t count;
    const char *issuer, *audience; /* required of tokens from elsewhere; empty: any */
};

/* Adds a secret, which must not be empty. */
void token_keys_add_secret(struct token_keys *k, const char *secret);

/* Adds public keys: SubjectPublicKeyInfo in base64, separated by commas. The master has checked
 * that each suits an algorithm. */
void token_keys_add_public(struct token_keys *k, const char *list);

void token_keys_free(struct token_keys *k);

#endif

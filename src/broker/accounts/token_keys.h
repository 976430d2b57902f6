/*
 * The keys that tokens are verified with: our own secrets (HS256), the first of which signs, and
 * public keys of those who issue tokens elsewhere (RS256, ES256). A key serves one algorithm.
 */
#ifndef TOKEN_KEYS_H
#define TOKEN_KEYS_H

#include <stddef.h>

enum token_algorithm { TOKEN_HS256, TOKEN_RS256, TOKEN_ES256 };

enum { TOKEN_KID = 12 };

struct token_key {
    enum token_algorithm algorithm;
    char kid[TOKEN_KID]; /* of a secret: what its tokens call it; otherwise empty */
    char *bytes;         /* owned, wiped: the secret, or the public key as PEM */
    int size;
};

/* All zero bytes: none. */
struct token_keys {
    struct token_key *keys;
    size_t count;
    const char *issuer, *audience; /* that tokens from elsewhere must name; empty: any */
};

/* Adds a secret, which must not be empty. */
void token_keys_add_secret(struct token_keys *k, const char *secret);

/* Adds public keys: SubjectPublicKeyInfo in base64, separated by commas. They must be good for an
 * algorithm; the master has looked. */
void token_keys_add_public(struct token_keys *k, const char *list);

void token_keys_free(struct token_keys *k);

#endif

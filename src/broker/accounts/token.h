/*
 * JSON Web Tokens (RFC 7519): ours, signed with HS256, and those of outside issuers, with RS256 or
 * ES256 (RFC 7518 section 3.1). Only token.c uses libjwt.
 */
#ifndef TOKEN_H
#define TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proof.h"
#include "token_keys.h"

struct token {
    int64_t user;    /* sub */
    int64_t expires; /* exp, Unix time */
    struct proof proof;
    char name[64]; /* username, for titles and logs; empty if missing or not a valid username */
};

/* Issues a token for a user, signed with the first key and valid for lifetime seconds from now.
 * free(3) the text; NULL when libjwt fails. */
char *token_issue(const struct token_keys *k, int64_t user, int64_t generation, const char *name,
                  int64_t now, int64_t lifetime);

/* Verifies a token: signature, algorithm, the parameters crit, b64 and typ of the header, and the
 * claims sub, iat, exp, nbf; of ours jti, gen and aud, of others iss and aud. False if any of them
 * is wrong; *why is then a static text for the log. revocations.h checks whether the token was
 * revoked. */
bool token_verify(const struct token_keys *k, const char *text, size_t n, int64_t now,
                  struct token *t, const char **why);

#endif

/* JSON Web Tokens (RFC 7519), HS256 only (RFC 7518 section 3.2). All of libjwt is behind here. */
#ifndef TOKEN_H
#define TOKEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct token {
    int64_t user;    /* sub */
    int64_t expires; /* exp, Unix time */
    char name[64];   /* username; a convenience for titles and logs, empty if it is not there */
};

/* Issues a token for the user, valid for lifetime seconds from now. The text is for free(3);
 * NULL when libjwt fails. */
char *token_issue(const char *secret, int64_t user, const char *name, int64_t now,
                  int64_t lifetime);

/* Verifies a token: signature, algorithm, and the claims sub, iat, exp and jti. False with *why, a
 * static text for the log, if any of them is not as it should be. */
bool token_verify(const char *secret, const char *text, size_t n, int64_t now, struct token *t,
                  const char **why);

#endif

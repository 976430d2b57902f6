/*
 * Tokens by libjwt 1.10; see token.h.
 *
 * What the library leaves to its caller: an empty key skips verification, the header chooses the
 * algorithm, exp is never checked, and integers that are not there read as 0.
 */
#include "token.h"

#include <errno.h>
#include <jwt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"
#include "random.h"

enum { CLOCK_SKEW_S = 60, MAX_TOKEN = 8192 };

static bool add_claims(jwt_t *jwt, int64_t user, const char *name, int64_t now, int64_t lifetime)
{
    char sub[24], jti[33] = ""; /* 128 random bits: no other token has it */
    snprintf(sub, sizeof(sub), "%lld", (long long)user);
    random_hex(jti, 16);
    return jwt_add_grant(jwt, "sub", sub) == 0 && jwt_add_grant(jwt, "username", name) == 0 &&
           jwt_add_grant_int(jwt, "iat", (long)now) == 0 &&
           jwt_add_grant_int(jwt, "exp", (long)(now + lifetime)) == 0 &&
           jwt_add_grant(jwt, "jti", jti) == 0;
}

char *token_issue(const char *secret, int64_t user, const char *name, int64_t now, int64_t lifetime)
{
    if (!*secret)
        bug("an empty key");
    jwt_t *jwt;
    if (jwt_new(&jwt) != 0)
        return NULL;
    char *text = NULL;
    if (add_claims(jwt, user, name, now, lifetime) &&
        jwt_set_alg(jwt, JWT_ALG_HS256, (const unsigned char *)secret, (int)strlen(secret)) == 0)
        text = jwt_encode_str(jwt);
    jwt_free(jwt);
    return text;
}

/* The subject: a user id in decimal digits, without leading zeros. */
static bool read_subject(jwt_t *jwt, int64_t *user)
{
    const char *sub = jwt_get_grant(jwt, "sub");
    if (!sub || *sub < '1' || *sub > '9' || strlen(sub) > 18 ||
        strspn(sub, "0123456789") != strlen(sub))
        return false;
    *user = strtoll(sub, NULL, 10);
    return true;
}

/* A claim that must be a whole number above zero; anything else reads as 0, or sets errno. */
static bool read_time(jwt_t *jwt, const char *claim, int64_t *t)
{
    errno = 0;
    *t = jwt_get_grant_int(jwt, claim);
    return errno == 0 && *t > 0;
}

static const char *check_claims(jwt_t *jwt, int64_t now, struct token *t)
{
    int64_t issued, not_before;
    if (!read_subject(jwt, &t->user))
        return "sub is missing or no user id";
    if (!read_time(jwt, "exp", &t->expires))
        return "exp is missing or no whole number";
    if (t->expires <= now)
        return "expired";
    if (!read_time(jwt, "iat", &issued))
        return "iat is missing or no whole number";
    /* An iat that is still to come says nothing against a token (RFC 7519 section 4.1.6): this
     * host's clock may be behind that of the one that issued it. */
    if (read_time(jwt, "nbf", &not_before) && not_before > now + CLOCK_SKEW_S)
        return "not valid yet";
    const char *jti = jwt_get_grant(jwt, "jti");
    if (!jti || !*jti)
        return "jti is missing";
    const char *name = jwt_get_grant(jwt, "username");
    snprintf(t->name, sizeof(t->name), "%s", name ? name : "");
    return NULL;
}

bool token_verify(const char *secret, const char *text, size_t n, int64_t now, struct token *t,
                  const char **why)
{
    *t = (struct token){0};
    *why = "not a token";
    if (!*secret)
        bug("an empty key");
    if (n == 0 || n > MAX_TOKEN || memchr(text, 0, n))
        return false;
    char *copy = xstrndup(text, n);
    jwt_t *jwt = NULL;
    int failed = jwt_decode(&jwt, copy, (const unsigned char *)secret, (int)strlen(secret));
    explicit_bzero(copy, n);
    free(copy);
    if (failed || !jwt) {
        *why = "the signature does not fit";
    } else if (jwt_get_alg(jwt) != JWT_ALG_HS256) {
        *why = "the algorithm is not HS256";
    } else {
        *why = check_claims(jwt, now, t);
    }
    jwt_free(jwt);
    return *why == NULL;
}

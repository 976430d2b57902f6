/*
 * Tokens by libjwt 1.10 to 1.17; see token.h.
 *
 * What the library leaves to its caller: an empty key skips verification, the header chooses the
 * algorithm, crit and b64 are ignored, bytes that are not base64url are skipped or end a part, exp
 * is never checked, and a missing integer reads as 0. Of duplicate members it takes the last, as
 * RFC 7515 section 4 and RFC 7519 section 4 allow.
 *
 * The header is read first, without a key, and trusted for one thing: to choose which of our keys
 * to try, those of the algorithm that it names. A key is never used with another algorithm. Keys
 * that the header brings or points to (jwk, jku, x5c, x5u) are ignored, and so are cty and zip: the
 * payload must be a plain JSON object.
 *
 * Claims that are not strings are read from their JSON text, which libjwt prints: that is enough
 * for numbers, and saves linking a JSON library here.
 */
#include "token.h"

#include <jwt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "log.h"
#include "random.h"
#include "username.h"

enum { CLOCK_SKEW_S = 60, MAX_TOKEN = 8192 };

/* The end of the year 9999. Anything later is in milliseconds, or otherwise wrong. */
#define LAST_TIME 253402300799.0

static const struct {
    const char *name; /* the value in the header */
    jwt_alg_t number;
} algorithms[] = {
    [TOKEN_HS256] = {"HS256", JWT_ALG_HS256},
    [TOKEN_RS256] = {"RS256", JWT_ALG_RS256},
    [TOKEN_ES256] = {"ES256", JWT_ALG_ES256},
};

/* --- issuing --- */

static bool add_claims(jwt_t *jwt, int64_t user, int64_t generation, const char *name, int64_t now,
                       int64_t lifetime)
{
    char sub[24], jti[33] = ""; /* 128 random bits, unique */
    snprintf(sub, sizeof(sub), "%lld", (long long)user);
    random_hex(jti, 16);
    return jwt_add_grant(jwt, "sub", sub) == 0 && jwt_add_grant(jwt, "username", name) == 0 &&
           jwt_add_grant_int(jwt, "gen", (long)generation) == 0 &&
           jwt_add_grant_int(jwt, "iat", (long)now) == 0 &&
           jwt_add_grant_int(jwt, "exp", (long)(now + lifetime)) == 0 &&
           jwt_add_grant(jwt, "jti", jti) == 0;
}

char *token_issue(const struct token_keys *k, int64_t user, int64_t generation, const char *name,
                  int64_t now, int64_t lifetime)
{
    const struct token_key *key = k->keys;
    if (k->count == 0 || key->algorithm != TOKEN_HS256)
        bug("no key to sign with");
    jwt_t *jwt;
    if (jwt_new(&jwt) != 0)
        return NULL;
    char *text = NULL;
    if (add_claims(jwt, user, generation, name, now, lifetime) &&
        jwt_add_header(jwt, "kid", key->kid) == 0 &&
        jwt_set_alg(jwt, JWT_ALG_HS256, (const unsigned char *)key->bytes, key->size) == 0)
        text = jwt_encode_str(jwt);
    jwt_free(jwt);
    return text;
}

/* --- the claims --- */

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

/* A NumericDate (RFC 7519 section 2), cut to whole seconds: a token expires up to a second early,
 * never late. */
static bool read_time(jwt_t *jwt, const char *claim, int64_t *t)
{
    char *json = jwt_get_grants_json(jwt, claim), *end = json;
    bool number = json && (*json == '-' || (*json >= '0' && *json <= '9'));
    double value = number ? strtod(json, &end) : 0;
    bool good = number && !*end && value >= 1 && value <= LAST_TIME;
    *t = good ? (int64_t)value : 0;
    free(json);
    return good;
}

static bool has(jwt_t *jwt, const char *claim)
{
    char *json = jwt_get_grants_json(jwt, claim);
    free(json);
    return json != NULL;
}

/* Without a generation, a token would be valid for whichever user gets this id next. */
static bool read_generation(jwt_t *jwt, int64_t *generation)
{
    char *json = jwt_get_grants_json(jwt, "gen");
    bool good = json && *json && strlen(json) <= 18 && strspn(json, "0123456789") == strlen(json);
    *generation = good ? strtoll(json, NULL, 10) : 0;
    free(json);
    return good;
}

/* Is the name among the strings of this array, compact JSON as libjwt prints it? Nothing in the
 * name needs escaping there (conf_check.c). */
static bool array_has(const char *json, const char *name)
{
    size_t n = strlen(name);
    while ((*json == '[' || *json == ',') && json[1] == '"') {
        const char *start = json + 2, *end = start;
        while (*end && *end != '"')
            end += *end == '\\' && end[1] ? 2 : 1;
        if (*end != '"')
            return false;
        if ((size_t)(end - start) == n && memcmp(start, name, n) == 0)
            return true;
        json = end + 1;
    }
    return false;
}

/* RFC 7519 section 4.1.3: one string, or an array of them. */
static bool is_audience(jwt_t *jwt, const char *name)
{
    const char *aud = jwt_get_grant(jwt, "aud");
    if (aud)
        return strcmp(aud, name) == 0;
    char *json = jwt_get_grants_json(jwt, "aud");
    bool found = json && array_has(json, name);
    free(json);
    return found;
}

static const char *check_ours(jwt_t *jwt, const struct token_keys *k, struct token *t)
{
    const char *jti = jwt_get_grant(jwt, "jti");
    if (!jti || !*jti)
        return "jti is missing";
    if (*k->audience && has(jwt, "aud") && !is_audience(jwt, k->audience))
        return "aud does not name jwt_audience";
    return read_generation(jwt, &t->proof.generation) ? NULL : "gen is missing or no generation";
}

static const char *check_foreign(jwt_t *jwt, const struct token_keys *k)
{
    const char *iss = jwt_get_grant(jwt, "iss");
    if (*k->issuer && (!iss || strcmp(iss, k->issuer) != 0))
        return "iss is not jwt_issuer";
    if (*k->audience && !is_audience(jwt, k->audience))
        return "aud does not name jwt_audience";
    return NULL;
}

static const char *check_times(jwt_t *jwt, int64_t now, struct token *t)
{
    int64_t not_before;
    if (!read_time(jwt, "exp", &t->expires))
        return "exp is missing, or no time up to the year 9999";
    if (t->expires <= now)
        return "expired";
    /* An iat in the future is no reason to refuse a token (RFC 7519 section 4.1.6): this host's
     * clock may be behind the issuer's. */
    if (!read_time(jwt, "iat", &t->proof.issued))
        return "iat is missing, or no time up to the year 9999";
    if (!has(jwt, "nbf"))
        return NULL;
    if (!read_time(jwt, "nbf", &not_before))
        return "nbf is no time up to the year 9999";
    return not_before > now + CLOCK_SKEW_S ? "not valid yet" : NULL;
}

/* The name appears in process titles and the log: accept only valid usernames. */
static void read_name(jwt_t *jwt, struct token *t)
{
    const char *name = jwt_get_grant(jwt, "username");
    if (name && strlen(name) < sizeof(t->name) && strspn(name, USERNAME_CHARS) == strlen(name))
        memcpy(t->name, name, strlen(name) + 1);
}

static const char *check_claims(jwt_t *jwt, const struct token_keys *k, int64_t now,
                                struct token *t)
{
    if (!read_subject(jwt, &t->user))
        return "sub is missing or no user id";
    const char *why = check_times(jwt, now, t);
    if (!why)
        why = t->proof.foreign ? check_foreign(jwt, k) : check_ours(jwt, k, t);
    if (!why)
        read_name(jwt, t);
    return why;
}

/* --- the signature --- */

/* What the header says, unverified. */
struct hint {
    char algorithm[8];
    char kid[TOKEN_KID];
    bool named;      /* has a kid */
    const char *why; /* refuse the token, whatever key signed it; or NULL */
};

/* A header member that is not a string, or longer than any known value, reads as empty. */
static void read_member(jwt_t *jwt, const char *name, char *out, size_t size)
{
    const char *value = jwt_get_header(jwt, name);
    if (value && strlen(value) < size)
        memcpy(out, value, strlen(value) + 1);
}

static bool header_is(jwt_t *jwt, const char *name, const char *json)
{
    char *text = jwt_get_headers_json(jwt, name);
    bool is = text && strcmp(text, json) == 0;
    free(text);
    return is;
}

static bool header_has(jwt_t *jwt, const char *name)
{
    char *text = jwt_get_headers_json(jwt, name);
    free(text);
    return text != NULL;
}

/* Checks parameters that change what the token means: NULL, or what is wrong. No extension is
 * supported, so any critical one is refused (RFC 7515 section 4.1.11, RFC 7797 section 6). A token
 * that the same issuer signed for another purpose, such as a logout token, names its own type (RFC
 * 8725 section 3.11); older libjwt refuses any type but JWT. */
static const char *check_header(jwt_t *jwt)
{
    const char *typ = jwt_get_header(jwt, "typ");
    if (header_has(jwt, "crit"))
        return "crit names what is not understood here";
    if (header_has(jwt, "b64") && !header_is(jwt, "b64", "true"))
        return "b64 is not true";
    if (header_has(jwt, "typ") && !(typ && strcasecmp(typ, "JWT") == 0))
        return "typ is not JWT";
    return NULL;
}

static bool read_header(const char *text, struct hint *h)
{
    jwt_t *jwt = NULL;
    if (jwt_decode(&jwt, text, NULL, 0) != 0 || !jwt)
        return false;
    *h = (struct hint){.named = header_has(jwt, "kid"), .why = check_header(jwt)};
    read_member(jwt, "alg", h->algorithm, sizeof(h->algorithm));
    read_member(jwt, "kid", h->kid, sizeof(h->kid));
    jwt_free(jwt);
    return true;
}

/* We know the kid of each of our own keys, and none of an outside issuer's. */
static bool worth_trying(const struct token_key *key, const struct hint *h)
{
    return strcmp(algorithms[key->algorithm].name, h->algorithm) == 0 &&
           (key->algorithm != TOKEN_HS256 || !h->named || strcmp(key->kid, h->kid) == 0);
}

/* The token, for jwt_free(), if this key signed it; or NULL. */
static jwt_t *decode(const char *text, const struct token_key *key)
{
    jwt_t *jwt = NULL;
    if (key->size > 0 &&
        jwt_decode(&jwt, text, (const unsigned char *)key->bytes, key->size) == 0 && jwt &&
        jwt_get_alg(jwt) == algorithms[key->algorithm].number)
        return jwt;
    jwt_free(jwt);
    return NULL;
}

/* Three parts in base64url, without padding or anything else between them (RFC 7515 section 7.1).
 */
static bool is_compact(const char *text)
{
    static const char alphabet[] =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    for (int part = 0; part < 2; part++) {
        text += strspn(text, alphabet);
        if (*text++ != '.')
            return false;
    }
    return text[strspn(text, alphabet)] == '\0';
}

/* NULL, or what is wrong. */
static const char *verify(const struct token_keys *k, const char *text, int64_t now,
                          struct token *t)
{
    struct hint h;
    if (!is_compact(text) || !read_header(text, &h))
        return "not a token";
    if (h.why)
        return h.why;
    bool tried = false;
    for (size_t i = 0; i < k->count; i++) {
        const struct token_key *key = &k->keys[i];
        if (!worth_trying(key, &h))
            continue;
        tried = true;
        jwt_t *jwt = decode(text, key);
        if (!jwt)
            continue;
        t->proof.foreign = key->algorithm != TOKEN_HS256;
        const char *why = check_claims(jwt, k, now, t);
        jwt_free(jwt);
        return why;
    }
    return tried ? "the signature does not fit" : "there is no key for its algorithm and kid";
}

bool token_verify(const struct token_keys *k, const char *text, size_t n, int64_t now,
                  struct token *t, const char **why)
{
    *t = (struct token){0};
    *why = "not a token";
    if (n == 0 || n > MAX_TOKEN || memchr(text, 0, n))
        return false;
    char *copy = xstrndup(text, n);
    *why = verify(k, copy, now, t);
    explicit_bzero(copy, n);
    free(copy);
    return *why == NULL;
}

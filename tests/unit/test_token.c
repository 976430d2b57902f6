/* Tokens: what is issued verifies, and nothing that was tampered with does. */
#include "token.h"

#include <jwt.h>
#include <stdlib.h>

#include "test.h"

static const char key[] = "an example key of at least 32 bytes";
enum { NOW = 1700000000 };

static bool verify(const char *text, const char **why)
{
    struct token t;
    return token_verify(key, text, strlen(text), NOW, &t, why);
}

static void what_is_issued_verifies(void)
{
    struct token t;
    const char *why;
    char *text = token_issue(key, 17, "alice", NOW, 60);
    CHECK(text && token_verify(key, text, strlen(text), NOW, &t, &why));
    CHECK(t.user == 17 && t.expires == NOW + 60);
    CHECK_STR(t.name, "alice");
    free(text);
}

static void it_expires(void)
{
    struct token t;
    const char *why;
    char *text = token_issue(key, 17, "alice", NOW, 60);
    CHECK(token_verify(key, text, strlen(text), NOW + 59, &t, &why));
    CHECK(!token_verify(key, text, strlen(text), NOW + 60, &t, &why));
    CHECK_STR(why, "expired");
    free(text);
}

static void two_tokens_differ(void)
{
    char *a = token_issue(key, 17, "alice", NOW, 60), *b = token_issue(key, 17, "alice", NOW, 60);
    CHECK(strcmp(a, b) != 0);
    free(a);
    free(b);
}

static void each_changed_or_missing_byte_is_noticed(void)
{
    const char *why;
    char *text = token_issue(key, 17, "alice", NOW, 60);
    size_t n = strlen(text);
    struct token t;
    for (size_t i = 0; i < n; i++)
        CHECK(!token_verify(key, text, i, NOW, &t, &why));
    for (size_t i = 0; i + 1 < n; i++) { /* the last character has bits that do not count */
        char before = text[i];
        text[i] = before == 'A' ? 'B' : 'A';
        CHECK(!verify(text, &why));
        text[i] = before;
    }
    CHECK(verify(text, &why));
    CHECK(!token_verify("another key of at least 32 bytes!!!", text, n, NOW, &t, &why));
    free(text);
}

/* A token with these claims as JSON, signed by the algorithm with the right key. */
static char *sign(jwt_alg_t alg, const char *claims)
{
    jwt_t *jwt;
    jwt_new(&jwt);
    jwt_add_grants_json(jwt, claims);
    jwt_set_alg(jwt, alg, alg == JWT_ALG_NONE ? NULL : (const unsigned char *)key,
                alg == JWT_ALG_NONE ? 0 : (int)strlen(key));
    char *text = jwt_encode_str(jwt);
    jwt_free(jwt);
    return text;
}

static void only_hs256_will_do(void)
{
    static const char good[] =
        "{\"sub\":\"5\",\"iat\":1699999990,\"exp\":1700000060,\"jti\":\"x\"}";
    static const jwt_alg_t others[] = {JWT_ALG_NONE, JWT_ALG_HS384, JWT_ALG_HS512};
    const char *why;
    char *text = sign(JWT_ALG_HS256, good);
    CHECK(verify(text, &why));
    free(text);
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        text = sign(others[i], good);
        CHECK(!verify(text, &why));
        free(text);
    }
}

static void every_claim_is_checked(void)
{
    static const char *const bad[] = {
        "{\"iat\":1699999990,\"exp\":1700000060,\"jti\":\"x\"}",
        "{\"sub\":5,\"iat\":1699999990,\"exp\":1700000060,\"jti\":\"x\"}",
        "{\"sub\":\"0\",\"iat\":1699999990,\"exp\":1700000060,\"jti\":\"x\"}",
        "{\"sub\":\"-5\",\"iat\":1699999990,\"exp\":1700000060,\"jti\":\"x\"}",
        "{\"sub\":\"5x\",\"iat\":1699999990,\"exp\":1700000060,\"jti\":\"x\"}",
        "{\"sub\":\"\",\"iat\":1699999990,\"exp\":1700000060,\"jti\":\"x\"}",
        "{\"sub\":\"9999999999999999999\",\"iat\":1699999990,\"exp\":1700000060,\"jti\":\"x\"}",
        "{\"sub\":\"5\",\"exp\":1700000060,\"jti\":\"x\"}",
        "{\"sub\":\"5\",\"iat\":1699999990,\"jti\":\"x\"}",
        "{\"sub\":\"5\",\"iat\":1699999990,\"exp\":0,\"jti\":\"x\"}",
        "{\"sub\":\"5\",\"iat\":1699999990,\"exp\":-1,\"jti\":\"x\"}",
        "{\"sub\":\"5\",\"iat\":1699999990,\"exp\":\"1700000060\",\"jti\":\"x\"}",
        "{\"sub\":\"5\",\"iat\":1699999990,\"exp\":1700000060.5,\"jti\":\"x\"}",
        "{\"sub\":\"5\",\"iat\":1699999990,\"exp\":true,\"jti\":\"x\"}",
        "{\"sub\":\"5\",\"iat\":1699999990,\"exp\":1700000060}",
        "{\"sub\":\"5\",\"iat\":1699999990,\"exp\":1700000060,\"jti\":7}",
        "{\"sub\":\"5\",\"iat\":1699999990,\"exp\":1700000060,\"jti\":\"x\",\"nbf\":1700000900}",
    };
    const char *why;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        char *text = sign(JWT_ALG_HS256, bad[i]);
        CHECK(text);
        if (text && verify(text, &why))
            printf("# accepted: %s\n", bad[i]), test_failed = 1;
        free(text);
    }
}

/* One host's clock is behind that of the one that issued it. */
static void a_token_from_the_future_verifies(void)
{
    struct token t;
    const char *why;
    char *text = token_issue(key, 17, "alice", NOW + 3600, 60);
    CHECK(text && token_verify(key, text, strlen(text), NOW, &t, &why) && t.user == 17);
    free(text);
}

static void garbage_is_no_token(void)
{
    static const char *const bad[] = {"",
                                      ".",
                                      "..",
                                      "...",
                                      "a.b.c",
                                      "eyJhbGciOiJIUzI1NiJ9..",
                                      "eyJhbGciOiJub25lIn0.eyJzdWIiOiI1In0."};
    const char *why;
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
        CHECK(!verify(bad[i], &why));
    struct token t;
    CHECK(!token_verify(key, "a.b\0.c", 6, NOW, &t, &why));
}

int main(void)
{
    RUN(what_is_issued_verifies);
    RUN(it_expires);
    RUN(a_token_from_the_future_verifies);
    RUN(two_tokens_differ);
    RUN(each_changed_or_missing_byte_is_noticed);
    RUN(only_hs256_will_do);
    RUN(every_claim_is_checked);
    RUN(garbage_is_no_token);
    return DONE();
}

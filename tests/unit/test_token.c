/* Tokens: what is issued verifies, and nothing that was tampered with, or forged, does. */
#include "token.h"

#include <jwt.h>
#include <openssl/ec.h>
#include <openssl/hmac.h>
#include <openssl/pem.h>
#include <openssl/rsa.h>
#include <stdlib.h>

#include "buf.h"
#include "test.h"

static const char key[] = "an example key of at least 32 bytes";
static const char old_key[] = "the key before it, as long as that";
enum { NOW = 1700000000 };

#define GOOD "\"sub\":\"5\",\"iat\":1699999990,\"exp\":1700000060"

/* Those of most tests: a secret, and the one before. */
static struct token_keys ours;

/* A pair whose public half belongs to somebody who issues tokens. */
struct pair {
    EVP_PKEY *pkey;
    char private[4096], public[2048]; /* PEM */
    char base64[2048];                /* as jwt_public_key has it */
};
static struct pair rsa, ec, stranger;
static struct token_keys all; /* ours and the public keys of rsa and ec */

static void read_pem(BIO *bio, char *out, size_t size)
{
    int n = BIO_read(bio, out, (int)size - 1);
    out[n > 0 ? n : 0] = '\0';
    BIO_free(bio);
}

static void make_pair(struct pair *p, EVP_PKEY *pkey)
{
    *p = (struct pair){.pkey = pkey};
    BIO *bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PrivateKey(bio, pkey, NULL, NULL, 0, NULL, NULL);
    read_pem(bio, p->private, sizeof(p->private));
    bio = BIO_new(BIO_s_mem());
    PEM_write_bio_PUBKEY(bio, pkey);
    read_pem(bio, p->public, sizeof(p->public));
    unsigned char der[1024], *at = der;
    int n = i2d_PUBKEY(pkey, &at);
    EVP_EncodeBlock((unsigned char *)p->base64, der, n);
}

static void make_keys(void)
{
    make_pair(&rsa, EVP_RSA_gen(2048));
    make_pair(&stranger, EVP_RSA_gen(2048));
    make_pair(&ec, EVP_EC_gen("P-256"));
    ours.issuer = ours.audience = all.issuer = all.audience = "";
    token_keys_add_secret(&ours, key);
    token_keys_add_secret(&ours, old_key);
    char list[4500];
    snprintf(list, sizeof(list), "%s,%s", rsa.base64, ec.base64);
    token_keys_add_secret(&all, key);
    token_keys_add_public(&all, list);
}

static void free_keys(void)
{
    EVP_PKEY_free(rsa.pkey);
    EVP_PKEY_free(ec.pkey);
    EVP_PKEY_free(stranger.pkey);
    token_keys_free(&ours);
    token_keys_free(&all);
}

static char *issue(int64_t now)
{
    return token_issue(&ours, 17, 281474976710657, "alice", now, 60);
}

static bool verify_by(const struct token_keys *k, const char *text, struct token *t)
{
    const char *why;
    bool good = token_verify(k, text, strlen(text), NOW, t, &why);
    CHECK(good == (why == NULL));
    return good;
}

static bool verify(const char *text, const char **why)
{
    struct token t;
    return token_verify(&ours, text, strlen(text), NOW, &t, why);
}

static void what_is_issued_verifies(void)
{
    struct token t;
    const char *why;
    char *text = issue(NOW);
    CHECK(text && token_verify(&ours, text, strlen(text), NOW, &t, &why));
    CHECK(t.user == 17 && t.expires == NOW + 60);
    CHECK(t.proof.generation == 281474976710657 && t.proof.issued == NOW && !t.proof.foreign);
    CHECK_STR(t.name, "alice");
    free(text);
}

static void it_expires(void)
{
    struct token t;
    const char *why;
    char *text = issue(NOW);
    CHECK(token_verify(&ours, text, strlen(text), NOW + 59, &t, &why));
    CHECK(!token_verify(&ours, text, strlen(text), NOW + 60, &t, &why));
    CHECK_STR(why, "expired");
    free(text);
}

static void two_tokens_differ(void)
{
    char *a = issue(NOW), *b = issue(NOW);
    CHECK(strcmp(a, b) != 0);
    free(a);
    free(b);
}

static void each_changed_or_missing_byte_is_noticed(void)
{
    const char *why;
    char *text = issue(NOW);
    size_t n = strlen(text);
    struct token t;
    for (size_t i = 0; i < n; i++)
        CHECK(!token_verify(&ours, text, i, NOW, &t, &why));
    for (size_t i = 0; i + 1 < n; i++) { /* the last character has bits that do not count */
        char before = text[i];
        text[i] = before == 'A' ? 'B' : 'A';
        CHECK(!verify(text, &why));
        text[i] = before;
    }
    CHECK(verify(text, &why));
    free(text);
}

/* A token with these claims and headers as JSON, signed by the algorithm with the given key. */
static char *sign_with(jwt_alg_t alg, const char *with, const char *headers, const char *claims)
{
    jwt_t *jwt;
    jwt_new(&jwt);
    jwt_add_grants_json(jwt, claims);
    if (headers)
        jwt_add_headers_json(jwt, headers);
    jwt_set_alg(jwt, alg, alg == JWT_ALG_NONE ? NULL : (const unsigned char *)with,
                alg == JWT_ALG_NONE ? 0 : (int)strlen(with));
    char *text = jwt_encode_str(jwt);
    jwt_free(jwt);
    return text;
}

static char *sign(jwt_alg_t alg, const char *claims)
{
    return sign_with(alg, key, NULL, claims);
}

static void other_algorithms_of_a_secret_will_not_do(void)
{
    static const char good[] = "{" GOOD ",\"jti\":\"x\",\"gen\":3}";
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

/* --- kid --- */

static bool kid_verifies(const char *with, const char *headers)
{
    const char *why;
    char *text = sign_with(JWT_ALG_HS256, with, headers, "{" GOOD ",\"jti\":\"x\",\"gen\":3}");
    bool good = verify(text, &why);
    free(text);
    return good;
}

static void a_kid_names_one_key_and_none_means_each(void)
{
    char mine[64], old[64];
    snprintf(mine, sizeof(mine), "{\"kid\":\"%s\"}", ours.keys[0].kid);
    snprintf(old, sizeof(old), "{\"kid\":\"%s\"}", ours.keys[1].kid);
    CHECK(strlen(ours.keys[0].kid) == 11 && strcmp(mine, old) != 0);
    CHECK(kid_verifies(key, NULL) && kid_verifies(old_key, NULL));
    CHECK(kid_verifies(key, mine) && kid_verifies(old_key, old));
    CHECK(!kid_verifies(key, old) && !kid_verifies(old_key, mine));
    CHECK(!kid_verifies("another key of at least 32 bytes!!!", NULL));
    CHECK(!kid_verifies("another key of at least 32 bytes!!!", mine));
    static const char *const strange[] = {
        "{\"kid\":\"unknown\"}",
        "{\"kid\":\"\"}",
        "{\"kid\":null}",
        "{\"kid\":1}",
        "{\"kid\":[\"x\"]}",
        "{\"kid\":true}",
        "{\"kid\":\"../../etc/passwd\"}",
        "{\"kid\":\"a name that is much longer than any of ours\"}"};
    for (size_t i = 0; i < sizeof(strange) / sizeof(strange[0]); i++)
        CHECK(!kid_verifies(key, strange[i]));
}

static void what_is_issued_is_signed_with_the_first_key(void)
{
    struct token_keys first = {.issuer = "", .audience = ""}, second = first;
    token_keys_add_secret(&first, key);
    token_keys_add_secret(&second, old_key);
    CHECK_STR(first.keys[0].kid, ours.keys[0].kid); /* the same on every host */
    struct token t;
    char *text = issue(NOW);
    CHECK(verify_by(&first, text, &t) && !verify_by(&second, text, &t));
    free(text);
    text = token_issue(&second, 17, 0, "alice", NOW, 60);
    CHECK(verify_by(&ours, text, &t));
    free(text);
    token_keys_free(&first);
    token_keys_free(&second);
}

/* --- public keys --- */

static bool foreign_verifies(jwt_alg_t alg, const char *with, const char *claims)
{
    struct token t;
    char *text = sign_with(alg, with, "{\"kid\":\"theirs\"}", claims);
    bool good = text && verify_by(&all, text, &t);
    CHECK(!good || (t.proof.foreign && t.user == 5 && t.proof.issued == 1699999990));
    free(text);
    return good;
}

static void public_keys_verify_what_their_owners_signed(void)
{
    CHECK(foreign_verifies(JWT_ALG_RS256, rsa.private, "{" GOOD "}"));
    CHECK(foreign_verifies(JWT_ALG_ES256, ec.private, "{" GOOD "}"));
    CHECK(!foreign_verifies(JWT_ALG_RS256, stranger.private, "{" GOOD "}"));
    CHECK(!foreign_verifies(JWT_ALG_RS384, rsa.private, "{" GOOD "}"));
    CHECK(!foreign_verifies(JWT_ALG_RS512, rsa.private, "{" GOOD "}"));
    CHECK(!foreign_verifies(JWT_ALG_ES384, ec.private, "{" GOOD "}"));
    struct token t;
    char *text = sign_with(JWT_ALG_RS256, rsa.private, NULL, "{" GOOD "}");
    CHECK(!verify_by(&ours, text, &t)); /* where there is no public key */
    free(text);
}

/* The classic: what everybody has, the public key, as the secret of HS256. */
static void a_public_key_is_no_secret(void)
{
    struct token t;
    const char *const secrets[] = {rsa.public, ec.public,         rsa.base64,
                                   ec.base64,  all.keys[1].bytes, all.keys[2].bytes};
    for (size_t i = 0; i < sizeof(secrets) / sizeof(secrets[0]); i++) {
        char *text =
            sign_with(JWT_ALG_HS256, secrets[i], NULL, "{" GOOD ",\"jti\":\"x\",\"gen\":3}");
        CHECK(text && !verify_by(&all, text, &t));
        free(text);
    }
}

static char *replace_header(const char *text, const char *header)
{
    unsigned char base64[256];
    EVP_EncodeBlock(base64, (const unsigned char *)header, (int)strlen(header));
    base64[strcspn((char *)base64, "=")] = '\0';
    struct buf out = BUF_INIT;
    buf_printf(&out, "%s%s", (char *)base64, strchr(text, '.'));
    char *copy = strndup((const char *)buf_head(&out), buf_len(&out));
    buf_free(&out);
    return copy;
}

/* A key serves one algorithm, whatever the header says. */
static void a_header_cannot_choose_the_kind_of_a_key(void)
{
    static const char *const headers[] = {
        "{\"alg\":\"none\"}",  "{\"alg\":\"HS256\"}", "{\"alg\":\"ES256\"}", "{\"alg\":\"PS256\"}",
        "{\"alg\":\"rs256\"}", "{\"alg\":\"RS512\"}", "{\"alg\":\"\"}",      "{\"typ\":\"JWT\"}"};
    struct token t;
    char *text = sign_with(JWT_ALG_RS256, rsa.private, NULL, "{" GOOD ",\"jti\":\"x\",\"gen\":3}");
    CHECK(verify_by(&all, text, &t));
    for (size_t i = 0; i < sizeof(headers) / sizeof(headers[0]); i++) {
        char *forged = replace_header(text, headers[i]);
        CHECK(!verify_by(&all, forged, &t));
        *strrchr(forged, '.') = '\0';
        CHECK(!verify_by(&all, forged, &t));
        free(forged);
    }
    free(text);
}

static void each_changed_or_missing_byte_of_a_foreign_one_is_noticed(void)
{
    struct token t;
    const char *why;
    char *text = sign_with(JWT_ALG_ES256, ec.private, NULL, "{" GOOD "}");
    size_t n = strlen(text);
    for (size_t i = 0; i + 1 < n; i++) { /* the last character has bits that do not count */
        char before = text[i];
        CHECK(!token_verify(&all, text, i, NOW, &t, &why));
        text[i] = before == 'A' ? 'B' : 'A';
        CHECK(!token_verify(&all, text, n, NOW, &t, &why));
        text[i] = before;
    }
    CHECK(token_verify(&all, text, n, NOW, &t, &why));
    free(text);
}

static void issuer_and_audience_are_those_of_the_configuration(void)
{
    static const struct {
        const char *claims;
        bool good;
    } tokens[] = {
        {"{" GOOD ",\"iss\":\"https://id.example\",\"aud\":\"chat\"}", true},
        {"{" GOOD ",\"iss\":\"https://id.example\",\"aud\":[\"chat\"]}", true},
        {"{" GOOD ",\"iss\":\"https://id.example\",\"aud\":[\"x\",\"chat\",\"y\"]}", true},
        {"{" GOOD ",\"iss\":\"https://id.example\",\"aud\":[\"x\\\",\",\"chat\"]}", true},
        {"{" GOOD ",\"iss\":\"https://id.example\"}", false},
        {"{" GOOD ",\"aud\":\"chat\"}", false},
        {"{" GOOD ",\"iss\":\"https://id.example/\",\"aud\":\"chat\"}", false},
        {"{" GOOD ",\"iss\":[\"https://id.example\"],\"aud\":\"chat\"}", false},
        {"{" GOOD ",\"iss\":\"https://id.example\",\"aud\":\"chats\"}", false},
        {"{" GOOD ",\"iss\":\"https://id.example\",\"aud\":[]}", false},
        {"{" GOOD ",\"iss\":\"https://id.example\",\"aud\":[\"cha\",\"t\"]}", false},
        {"{" GOOD ",\"iss\":\"https://id.example\",\"aud\":[[\"chat\"]]}", false},
        {"{" GOOD ",\"iss\":\"https://id.example\",\"aud\":[{\"chat\":1}]}", false},
        {"{" GOOD ",\"iss\":\"https://id.example\",\"aud\":{\"chat\":\"chat\"}}", false},
        {"{" GOOD ",\"iss\":\"https://id.example\",\"aud\":[\"x\\\",\\\"chat\\\",\\\"y\"]}", false},
        {"{" GOOD ",\"iss\":\"https://id.example\",\"aud\":[1,\"chat\"]}", false},
        {"{" GOOD ",\"iss\":\"https://id.example\",\"aud\":true}", false},
    };
    all.issuer = "https://id.example";
    all.audience = "chat";
    for (size_t i = 0; i < sizeof(tokens) / sizeof(tokens[0]); i++)
        if (foreign_verifies(JWT_ALG_ES256, ec.private, tokens[i].claims) != tokens[i].good)
            printf("# wrong: %s\n", tokens[i].claims), test_failed = 1;
    struct token t;
    char *text = issue(NOW);
    CHECK(verify_by(&all, text, &t)); /* ours name neither */
    free(text);
    all.issuer = all.audience = "";
}

/* --- what libjwt would not write --- */

static void put_part(struct buf *out, const void *bytes, size_t n)
{
    unsigned char base64[4096];
    int length = EVP_EncodeBlock(base64, bytes, (int)n);
    for (int i = 0; i < length && base64[i] != '='; i++)
        base64[i] = base64[i] == '+' ? '-' : base64[i] == '/' ? '_' : base64[i];
    buf_append(out, base64, strcspn((char *)base64, "="));
}

/* A token of exactly this header and these claims, signed with the key; between dots what is
 * given. */
static char *sign_text(const char *header, const char *claims, const char *dot)
{
    struct buf out = BUF_INIT;
    unsigned char mac[32];
    put_part(&out, header, strlen(header));
    buf_puts(&out, dot);
    put_part(&out, claims, strlen(claims));
    HMAC(EVP_sha256(), key, (int)strlen(key), buf_head(&out), buf_len(&out), mac, NULL);
    buf_puts(&out, ".");
    put_part(&out, mac, sizeof(mac));
    char *text = strndup((const char *)buf_head(&out), buf_len(&out));
    buf_free(&out);
    return text;
}

struct written {
    const char *text; /* members of the header, or of the claims */
    bool good;
};

static void check_written(const struct written *w, const char *header, const char *claims)
{
    const char *why = NULL;
    char *text = sign_text(header, claims, ".");
    if (verify(text, &why) != w->good)
        printf("# %s: %s\n", w->text, why ? why : "accepted"), test_failed = 1;
    free(text);
}

#define MINE GOOD ",\"jti\":\"x\",\"gen\":3"

static void each_parameter_of_the_header_is_judged(void)
{
    static const struct written table[] = {
        {"", true},
        {",\"typ\":\"JWT\"", true},
        {",\"typ\":\"jwt\"", true},
        {",\"typ\":\"logout+jwt\"", false},
        {",\"typ\":\"secevent+jwt\"", false},
        {",\"typ\":\"dpop+jwt\"", false},
        {",\"typ\":\"at+jwt\"", false},
        {",\"typ\":\"\"", false},
        {",\"typ\":5", false},
        {",\"typ\":null", false},
        {",\"typ\":[\"JWT\"]", false},
        {",\"crit\":[\"exp\"],\"exp\":1700000060", false},
        {",\"crit\":[\"b64\"],\"b64\":true", false},
        {",\"crit\":[\"b64\"],\"b64\":false", false},
        {",\"crit\":[\"alg\"]", false},
        {",\"crit\":[]", false},
        {",\"crit\":null", false},
        {",\"crit\":\"x\"", false},
        {",\"crit\":{}", false},
        {",\"b64\":true", true},
        {",\"b64\":false", false},
        {",\"b64\":null", false},
        {",\"b64\":\"true\"", false},
        {",\"b64\":0", false},
        {",\"b64\":true,\"b64\":false", false},
        {",\"alg\":\"hs256\"", false}, /* the last of two names counts */
        {",\"alg\":\"none\"", false},
        {",\"alg\":null", false},
        {",\"alg\":[\"HS256\"]", false},
        {",\"jwk\":{\"kty\":\"oct\",\"k\":\"AAAA\"}", true}, /* not looked at */
        {",\"jku\":\"http://127.0.0.1/\",\"x5u\":\"/dev/null\",\"x5c\":[]", true},
        {",\"cty\":\"json\",\"zip\":\"DEF\",\"other\":[{}]", true},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        char header[200];
        snprintf(header, sizeof(header), "{\"alg\":\"HS256\"%s}", table[i].text);
        check_written(&table[i], header, "{" MINE "}");
    }
}

/* RFC 7519 section 2: seconds, whole or not. */
static void a_time_is_a_numeric_date(void)
{
    static const struct written table[] = {
        {"1700000060", true},
        {"1700000060.5", true},
        {"1700000001.0", true},
        {"1700000000.9", false}, /* cut, so it is over */
        {"1.70000006e9", true},
        {"17000000600E-1", true},
        {"1e3", false},
        {"253402300799", true},
        {"253402300799.5", false},
        {"253402300800", false},
        {"1700000060000", false}, /* milliseconds */
        {"9007199254740993", false},
        {"9223372036854775807", false},
        {"9223372036854775808", false},
        {"1e300", false},
        {"1e400", false},
        {"0", false},
        {"0.5", false},
        {"-0.0", false},
        {"-1", false},
        {"-1700000060", false},
        {"-1e300", false},
        {"NaN", false},
        {"Infinity", false},
        {"0x7fffffff", false},
        {"\"1700000060\"", false},
        {"true", false},
        {"null", false},
        {"[1700000060]", false},
        {"{\"at\":1700000060}", false},
        {"1700000060,\"exp\":1", false},
        {"1,\"exp\":1700000060", true}, /* the last of two names counts */
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        char claims[200];
        snprintf(claims, sizeof(claims), "{" MINE ",\"exp\":%s}", table[i].text);
        check_written(&table[i], "{\"alg\":\"HS256\"}", claims);
    }
}

static void each_time_has_the_same_form(void)
{
    static const struct written table[] = {
        {"\"iat\":1699999990.75", true},  {"\"iat\":1.69999999e9", true},
        {"\"iat\":1700000000000", false}, {"\"iat\":0.25", false},
        {"\"iat\":1e300", false},         {"\"iat\":null", false},
        {"\"nbf\":1700000060.9", true},   {"\"nbf\":1700000061.1", false},
        {"\"nbf\":1699999990.5", true},   {"\"nbf\":-1.5", false},
        {"\"nbf\":1e300", false},         {"\"nbf\":null", false},
    };
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        char claims[200];
        snprintf(claims, sizeof(claims), "{" MINE ",%s}", table[i].text);
        check_written(&table[i], "{\"alg\":\"HS256\"}", claims);
    }
    struct token t;
    char *text = sign_text("{\"alg\":\"HS256\"}", "{" MINE ",\"iat\":1699999990.75}", ".");
    CHECK(verify_by(&ours, text, &t) && t.proof.issued == 1699999990);
    free(text);
}

static void a_token_has_three_parts_in_base64url(void)
{
    static const char *const dots[] = {"=.", ". ", "\n.", "!.", ".+", "./", "..", ".\x80", ".="};
    const char *why;
    char longer[1200];
    char *text = sign_text("{\"alg\":\"HS256\"}", "{" MINE "}", ".");
    CHECK(verify(text, &why));
    for (size_t i = 0; i < sizeof(dots) / sizeof(dots[0]); i++) {
        char *odd = sign_text("{\"alg\":\"HS256\"}", "{" MINE "}", dots[i]);
        CHECK(!verify(odd, &why));
        free(odd);
        snprintf(longer, sizeof(longer), "%s%s", text, dots[i]);
        CHECK(!verify(longer, &why));
    }
    free(text);
}

static void an_audience_that_ours_name_must_be_this_one(void)
{
    static const struct written table[] = {
        {"\"aud\":\"chat\"", true},  {"\"aud\":[\"mail\",\"chat\"]", true},
        {"\"aud\":\"mail\"", false}, {"\"aud\":[]", false},
        {"\"aud\":null", false},     {"\"iss\":\"anybody\"", true},
    };
    ours.audience = "chat";
    for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
        char claims[200];
        snprintf(claims, sizeof(claims), "{" MINE ",%s}", table[i].text);
        check_written(&table[i], "{\"alg\":\"HS256\"}", claims);
    }
    ours.audience = "";
}

/* --- claims --- */

/* Without it a token would be bound to a number, whoever has that. */
static void a_generation_is_a_whole_number(void)
{
    static const char *const bad[] = {"",
                                      ",\"gen\":-1",
                                      ",\"gen\":1.5",
                                      ",\"gen\":\"1\"",
                                      ",\"gen\":null",
                                      ",\"gen\":true",
                                      ",\"gen\":[1]",
                                      ",\"gen\":1e3",
                                      ",\"gen\":1234567890123456789"};
    static const int64_t good[] = {0, 7, 281474976710656, 123456789012345678};
    struct token t;
    const char *why;
    char claims[200];
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
        snprintf(claims, sizeof(claims), "{" GOOD ",\"jti\":\"x\",\"gen\":%lld}",
                 (long long)good[i]);
        char *text = sign(JWT_ALG_HS256, claims);
        CHECK(verify_by(&ours, text, &t) && t.proof.generation == good[i]);
        free(text);
    }
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        snprintf(claims, sizeof(claims), "{" GOOD ",\"jti\":\"x\"%s}", bad[i]);
        char *text = sign(JWT_ALG_HS256, claims);
        CHECK(!verify(text, &why));
        CHECK_STR(why, "gen is missing or no generation");
        free(text);
    }
}

static void every_claim_is_checked(void)
{
    static const char *const bad[] = {
        "{\"iat\":1699999990,\"exp\":1700000060,\"jti\":\"x\",\"gen\":3}",
        "{\"sub\":5,\"iat\":1699999990,\"exp\":1700000060,\"jti\":\"x\",\"gen\":3}",
        "{\"sub\":\"0\",\"iat\":1699999990,\"exp\":1700000060,\"jti\":\"x\",\"gen\":3}",
        "{\"sub\":\"-5\",\"iat\":1699999990,\"exp\":1700000060,\"jti\":\"x\",\"gen\":3}",
        "{\"sub\":\"5x\",\"iat\":1699999990,\"exp\":1700000060,\"jti\":\"x\",\"gen\":3}",
        "{\"sub\":\"\",\"iat\":1699999990,\"exp\":1700000060,\"jti\":\"x\",\"gen\":3}",
        "{\"sub\":\"9999999999999999999\",\"iat\":1699999990,\"exp\":1700000060,\"jti\":\"x\","
        "\"gen\":3}",
        "{\"sub\":\"5\",\"exp\":1700000060,\"jti\":\"x\",\"gen\":3}",
        "{\"sub\":\"5\",\"iat\":1699999990,\"jti\":\"x\",\"gen\":3}",
        "{\"sub\":\"5\",\"iat\":1699999990,\"exp\":0,\"jti\":\"x\",\"gen\":3}",
        "{\"sub\":\"5\",\"iat\":1699999990,\"exp\":-1,\"jti\":\"x\",\"gen\":3}",
        "{\"sub\":\"5\",\"iat\":1699999990,\"exp\":\"1700000060\",\"jti\":\"x\",\"gen\":3}",
        "{\"sub\":\"5\",\"iat\":1699999990,\"exp\":true,\"jti\":\"x\",\"gen\":3}",
        "{\"sub\":\"5\",\"iat\":1699999990,\"exp\":1700000060}",
        "{\"sub\":\"5\",\"iat\":1699999990,\"exp\":1700000060,\"jti\":7}",
        "{\"sub\":\"5\",\"iat\":1699999990,\"exp\":1700000060,\"jti\":\"x\",\"gen\":3,\"nbf\":"
        "1700000900}",
        "{" GOOD ",\"jti\":\"x\",\"gen\":3,\"nbf\":\"1699999990\"}",
        "{" GOOD ",\"jti\":\"x\",\"gen\":3,\"nbf\":-1}",
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

#define LONG_NAME "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\""

/* A name ends in the log. */
static void a_name_is_a_username_or_not_there(void)
{
    static const char *const names[] = {
        "\"two words\"", "\"a\\nb\"", "\"\\u001b[2J\"", "\"%s\"", "7", "null", LONG_NAME};
    struct token t;
    char claims[300];
    snprintf(claims, sizeof(claims), "{" GOOD ",\"username\":\"A.b_c-9\"}");
    char *text = sign_with(JWT_ALG_ES256, ec.private, NULL, claims);
    CHECK(verify_by(&all, text, &t));
    CHECK_STR(t.name, "A.b_c-9");
    free(text);
    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        snprintf(claims, sizeof(claims), "{" GOOD ",\"username\":%s}", names[i]);
        text = sign_with(JWT_ALG_ES256, ec.private, NULL, claims);
        CHECK(verify_by(&all, text, &t));
        CHECK_STR(t.name, "");
        free(text);
    }
}

/* One host's clock is behind that of the one that issued it. */
static void a_token_from_the_future_verifies(void)
{
    struct token t;
    const char *why;
    char *text = issue(NOW + 3600);
    CHECK(text && token_verify(&ours, text, strlen(text), NOW, &t, &why) && t.user == 17);
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
    CHECK(!token_verify(&all, "a.b\0.c", 6, NOW, &t, &why));
}

int main(void)
{
    make_keys();
    RUN(what_is_issued_verifies);
    RUN(it_expires);
    RUN(a_token_from_the_future_verifies);
    RUN(two_tokens_differ);
    RUN(each_changed_or_missing_byte_is_noticed);
    RUN(other_algorithms_of_a_secret_will_not_do);
    RUN(a_kid_names_one_key_and_none_means_each);
    RUN(what_is_issued_is_signed_with_the_first_key);
    RUN(public_keys_verify_what_their_owners_signed);
    RUN(a_public_key_is_no_secret);
    RUN(a_header_cannot_choose_the_kind_of_a_key);
    RUN(each_changed_or_missing_byte_of_a_foreign_one_is_noticed);
    RUN(issuer_and_audience_are_those_of_the_configuration);
    RUN(each_parameter_of_the_header_is_judged);
    RUN(a_time_is_a_numeric_date);
    RUN(each_time_has_the_same_form);
    RUN(a_token_has_three_parts_in_base64url);
    RUN(an_audience_that_ours_name_must_be_this_one);
    RUN(a_generation_is_a_whole_number);
    RUN(every_claim_is_checked);
    RUN(a_name_is_a_username_or_not_there);
    RUN(garbage_is_no_token);
    free_keys();
    return DONE();
}

/*
 * JSON: nothing but RFC 8259 passes the checker, whatever passes is understood by json-c, and typed
 * access takes no value for another.
 */
#include "json.h"

#include <stdlib.h>

#include <json-c/json.h>

#include "buf.h"
#include "log.h"
#include "test.h"

/* Checks a copy that ends where memory ends, so that reading too far is noticed. */
static const char *verdict(const char *text, size_t n)
{
    char *copy = xcalloc(n ? n : 1, 1);
    memcpy(copy, text, n);
    const char *error = "left as it was";
    bool ok = json_check(copy, n, JSON_MAX_DEPTH, &error);
    CHECK(ok == (error == NULL));
    free(copy);
    return ok ? "ok" : error;
}

static void what_the_grammar_allows_passes(void)
{
    static const char *good[] = {
        "{}",
        "[]",
        " \t\r\n{ } \t\r\n",
        "null",
        "true",
        "false",
        "0",
        "-0",
        "-0.0e-00",
        "12",
        "1.5",
        "1E+9",
        "1e9",
        "123456789012345678901234567890",
        "\"\"",
        "\"\\\"\\\\\\/\\b\\f\\n\\r\\t\"",
        "\"\\u0001\\uFFFF\\ud7ff\\uE000\"",
        "\"\\uD83D\\ude00\"",
        "\"\x7f\"",
        "\"caf\xc3\xa9 \xf0\x9f\x98\x80\"",
        "[1,2 , [3],{\"a\":[]}]",
        "{\"a\":{\"a\":null},\"\":-1}",
        "{\"a\":1,\"a\":2}",
        "[[],[[]],{}]",
        "{\"type\":\"message\",\"content\":\"Hello!\",\"data\":{\"receiver_id\":2}}",
    };
    for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++)
        CHECK_STR(verdict(good[i], strlen(good[i])), "ok");
}

static void what_is_not_json_is_refused_with_what_is_wrong(void)
{
    static const struct {
        const char *text, *error;
    } bad[] = {
        {"", "it is empty"},
        {" \n", "it is empty"},
        {"{", "an object is not closed"},
        {"{\"a\":1", "an object is not closed"},
        {"{\"a\":1,", "an object is not closed"},
        {"[1", "an array is not closed"},
        {"[", "it ends too early"},
        {"[1,", "it ends too early"},
        {"{\"a\":", "it ends too early"},
        {"[1,]", "something stands where a value should"},
        {"[,1]", "something stands where a value should"},
        {"[1 2]", "a comma or a closing bracket is missing"},
        {"[1}", "a comma or a closing bracket is missing"},
        {"[1:2]", "a comma or a closing bracket is missing"},
        {"{\"a\":1]", "a comma or a closing brace is missing"},
        {"{\"a\":1 \"b\":2}", "a comma or a closing brace is missing"},
        {"{\"a\":1,}", "a member of an object has no name in quotes"},
        {"{,}", "a member of an object has no name in quotes"},
        {"{a:1}", "a member of an object has no name in quotes"},
        {"{'a':1}", "a member of an object has no name in quotes"},
        {"{1:1}", "a member of an object has no name in quotes"},
        {"{\"a\"}", "a member of an object has no colon"},
        {"{\"a\" 1}", "a member of an object has no colon"},
        {"{}{}", "something follows its end"},
        {"{} x", "something follows its end"},
        {"[]]", "something follows its end"},
        {"1,2", "something follows its end"},
        {"1 2", "something follows its end"},
        {"nullx", "something follows its end"},
        {"0x10", "something follows its end"},
        {"1.5.2", "something follows its end"},
        {"]", "something stands where a value should"},
        {"NaN", "something stands where a value should"},
        {"Infinity", "something stands where a value should"},
        {"+1", "something stands where a value should"},
        {".5", "something stands where a value should"},
        {"'a'", "something stands where a value should"},
        {"/* */{}", "something stands where a value should"},
        {"\xef\xbb\xbf{}", "something stands where a value should"},
        {"\x0b{}", "something stands where a value should"},
        {"-Infinity", "a minus sign without a number"},
        {"-", "a minus sign without a number"},
        {"nan", "a word that is not true, false or null"},
        {"tru", "a word that is not true, false or null"},
        {"nulL", "a word that is not true, false or null"},
        {"TRUE", "something stands where a value should"},
        {"01", "a number has a leading zero"},
        {"-00", "a number has a leading zero"},
        {"1.", "a number has no digit after its point"},
        {"1.e5", "a number has no digit after its point"},
        {"1e", "a number has no digit in its exponent"},
        {"1e+-5", "a number has no digit in its exponent"},
        {"\"", "a string is not closed"},
        {"\"abc", "a string is not closed"},
        {"\"\\", "a string is not closed"},
        {"\"\\\"", "a string is not closed"},
        {"{\"a", "a string is not closed"},
        {"\"a\nb\"", "a control character in a string is not escaped"},
        {"\"\t\"", "a control character in a string is not escaped"},
        {"\"\\x41\"", "a backslash before a character that needs none"},
        {"\"\\'\"", "a backslash before a character that needs none"},
        {"\"\\U0041\"", "a backslash before a character that needs none"},
        {"\"\\u12g4\"", "\\u is not followed by four hexadecimal digits"},
        {"\"\\u123", "\\u is not followed by four hexadecimal digits"},
        {"\"\\u@ABC\"", "\\u is not followed by four hexadecimal digits"},
        {"\"\\ud800\\uzzzz\"", "\\u is not followed by four hexadecimal digits"},
        {"\"\\ud800\"", "half of a surrogate pair stands alone"},
        {"\"\\udc00\"", "half of a surrogate pair stands alone"},
        {"\"\\ud800\\u0041\"", "half of a surrogate pair stands alone"},
        {"\"\\ud800\\ud800\"", "half of a surrogate pair stands alone"},
        {"\"\\ud800\\n\"", "half of a surrogate pair stands alone"},
        {"\"\\udc00\\udc00\"", "half of a surrogate pair stands alone"},
        {"\"\\ud800\\ue000\"", "half of a surrogate pair stands alone"},
        {"\"\\udfff\\ud800\"", "half of a surrogate pair stands alone"},
        {"\"\xff\"", "it is not UTF-8"},
        {"\"\xed\xa0\x80\"", "it is not UTF-8"},
        {"\"\xc0\x80\"", "it is not UTF-8"},
        {"\"\xe2\x82", "it is not UTF-8"},
    };
    for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
        const char *got = verdict(bad[i].text, strlen(bad[i].text));
        static const char prefix[] = "not valid JSON: ";
        CHECK(strncmp(got, prefix, sizeof(prefix) - 1) == 0);
        CHECK_STR(strncmp(got, prefix, sizeof(prefix) - 1) ? bad[i].text : got + sizeof(prefix) - 1,
                  bad[i].error);
    }
}

static void control_characters_in_a_string_must_be_escaped(void)
{
    for (char c = 0; c < 0x20; c++)
        CHECK_STR(verdict((char[3]){'"', c, '"'}, 3),
                  "not valid JSON: a control character in a string is not escaped");
    CHECK_STR(verdict("\" \"", 3), "ok");
}

static void nul_is_refused_raw_and_escaped(void)
{
    static const char *escaped = "not acceptable JSON: the character \\u0000 cannot be stored";
    CHECK_STR(verdict("\"a\\u0000b\"", 10), escaped);
    CHECK_STR(verdict("{\"\\u0000\":1}", 12), escaped);
    CHECK_STR(verdict("\"\0\"", 3),
              "not valid JSON: a control character in a string is not escaped");
    CHECK_STR(verdict("\"\\\0\"", 4),
              "not valid JSON: a backslash before a character that needs none");
    CHECK_STR(verdict("{}\0", 3), "not valid JSON: something follows its end");
    CHECK_STR(verdict("\0", 1), "not valid JSON: something stands where a value should");
}

static void every_prefix_of_a_text_is_refused(void)
{
    static const char text[] =
        "{\"a\":[1.5e+3,\"\\ud83d\\ude00\\n\",{\"\":null}],\"b\":[true,false,[]]}";
    for (size_t n = 0; n < sizeof(text) - 1; n++)
        CHECK(strcmp(verdict(text, n), "ok") != 0);
    CHECK_STR(verdict(text, sizeof(text) - 1), "ok");
}

/* {"a":[{"a":[ ... ]}]} with so many levels, around a number if it has room for one. */
static void put_nested(struct buf *b, int depth, const char *core)
{
    for (int i = 0; i < depth; i++)
        buf_puts(b, i % 2 ? "[" : "{\"a\":");
    buf_puts(b, core);
    for (int i = depth; i-- > 0;)
        buf_puts(b, i % 2 ? "]" : "}");
}

static void nesting_has_a_limit_and_json_c_follows_up_to_it(void)
{
    for (int depth = 1; depth <= 70; depth++) {
        struct buf b = BUF_INIT;
        const char *error;
        put_nested(&b, depth, "1");
        const char *text = (const char *)buf_head(&b);
        CHECK(json_check(text, buf_len(&b), 32, &error) == (depth <= 32));
        CHECK(json_check(text, buf_len(&b), 64, &error) == (depth <= 64));
        struct json_object *o = json_parse_object(text, buf_len(&b), &error);
        CHECK(!o == (depth > JSON_MAX_DEPTH));
        if (!o)
            CHECK_STR(error, "not acceptable JSON: it is nested too deeply");
        json_object_put(o);
        buf_free(&b);
    }
    const char *error;
    CHECK(json_check("1", 1, 0, &error) && !json_check("[]", 2, 0, &error));
    char *deep = xcalloc(100000, 1);
    memset(deep, '[', 100000);
    CHECK(!json_check(deep, 100000, 64, &error));
    free(deep);
}

/* Random changes to a good text: what the checker lets through, json-c must parse, and json-c's own
 * rendering of it must pass the checker again. */
static void what_passes_is_understood_by_json_c(void)
{
    static const char seed[] =
        "{\"type\":\"message\",\"content\":\"H\\u00e9llo \\ud83d\\ude00\\n\","
        "\"n\":[-1.5e3,0,true,null,{}],\"data\":{\"receiver_id\":2}}";
    static const char bytes[] = "{}[]\",:\\u0d8truefalsn19.-+eE \n'/\x80\xff";
    srand(5);
    int passed = 0;
    for (int round = 0; round < 100000; round++) {
        char text[sizeof(seed)];
        size_t n = sizeof(seed) - 1;
        memcpy(text, seed, sizeof(seed));
        for (int i = rand() % 3; i >= 0; i--) {
            size_t at = (size_t)rand() % n;
            if (rand() % 3 == 0)
                memmove(text + at, text + at + 1, n-- - at - 1);
            else
                text[at] = bytes[(size_t)rand() % (sizeof(bytes) - 1)];
        }
        if (strcmp(verdict(text, n), "ok") != 0)
            continue;
        passed++;
        const char *error;
        text[n] = '\0';
        struct json_object *o = json_parse_object(text, n, &error);
        CHECK(o);
        const char *again = json_object_to_json_string(o);
        CHECK_STR(verdict(again, strlen(again)), "ok");
        json_object_put(o);
    }
    CHECK(passed > 1000);
}

static void put_is(const char *s, size_t n, const char *want)
{
    struct buf b = BUF_INIT;
    json_put_string(&b, s, n);
    buf_append(&b, "", 1);
    CHECK_STR((const char *)buf_head(&b), want);
    buf_free(&b);
}

static void strings_are_written_with_the_escapes_that_are_needed(void)
{
    put_is("", 0, "\"\"");
    put_is(NULL, 0, "\"\"");
    put_is("plain <b> / \x7f caf\xc3\xa9", 19, "\"plain <b> / \x7f caf\xc3\xa9\"");
    put_is("\"", 1, "\"\\\"\"");
    put_is("a\"b\\c", 5, "\"a\\\"b\\\\c\"");
    put_is("\b\f\n\r\t", 5, "\"\\b\\f\\n\\r\\t\"");
    put_is("\0\x01\x0b\x1f", 4, "\"\\u0000\\u0001\\u000b\\u001f\"");
}

static void what_is_written_reads_back(void)
{
    for (int c = 1; c < 128; c++) {
        struct buf b = BUF_INIT;
        const char *error;
        struct text t;
        char text[] = {'x', (char)c, (char)c, 'y'};
        buf_puts(&b, "{\"k\":");
        json_put_string(&b, text, sizeof(text));
        buf_puts(&b, "}");
        struct json_object *o = json_parse_object((char *)buf_head(&b), buf_len(&b), &error);
        CHECK(json_get_text(o, "k", &t) == JSON_OK && t.n == 4 && memcmp(t.p, text, 4) == 0);
        json_object_put(o);
        buf_free(&b);
    }
}

static struct json_object *parse(const char *text)
{
    const char *error;
    return json_parse_object(text, strlen(text), &error);
}

static void only_an_object_is_parsed(void)
{
    static const char *others[] = {"[]", "1", " \"{}\"", "null", "true"};
    const char *error;
    for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
        CHECK(!json_parse_object(others[i], strlen(others[i]), &error));
        CHECK_STR(error, "not acceptable JSON: it is not an object");
    }
    CHECK(!json_parse_object("{'a':1}", 7, &error));
    CHECK_STR(error, "not valid JSON: a member of an object has no name in quotes");
    struct json_object *o = json_parse_object(" {\"a\":1} garbage outside", 8, &error);
    CHECK(o && !error);
    json_object_put(o);
}

static void only_an_array_is_parsed_where_one_is_expected(void)
{
    const char *error;
    CHECK(!json_parse_array("{}", 2, &error));
    CHECK_STR(error, "not acceptable JSON: it is not an array");
    struct json_object *array = json_parse_array(" [1,{}]", 7, &error);
    CHECK(array && !error && json_object_array_length(array) == 2);
    json_object_put(array);
}

static void text_is_found_with_its_length(void)
{
    struct json_object *o =
        parse("{\"s\":\"caf\\u00e9\",\"e\":\"\",\"n\":1,\"z\":null,\"o\":{},\"a\":[\"\"]}");
    struct text t = {0};
    CHECK(json_get_text(o, "s", &t) == JSON_OK && t.n == 5 && !strcmp(t.p, "caf\xc3\xa9"));
    CHECK(json_get_text(o, "e", &t) == JSON_OK && t.n == 0 && !strcmp(t.p, ""));
    CHECK(json_get_text(o, "n", &t) == JSON_WRONG_TYPE);
    CHECK(json_get_text(o, "z", &t) == JSON_WRONG_TYPE);
    CHECK(json_get_text(o, "o", &t) == JSON_WRONG_TYPE);
    CHECK(json_get_text(o, "a", &t) == JSON_WRONG_TYPE);
    CHECK(json_get_text(o, "S", &t) == JSON_ABSENT);
    CHECK(json_is_null(o, "z"));
    CHECK(!json_is_null(o, "s") && !json_is_null(o, "e") && !json_is_null(o, "n"));
    CHECK(!json_is_null(o, "S"));
    json_object_put(o);
}

static void an_id_is_a_whole_number_above_zero(void)
{
    static const struct {
        const char *number;
        int64_t id; /* 0: refused */
    } cases[] = {
        {"1", 1},
        {"2147483648", INT64_C(2147483648)},
        {"9223372036854775806", INT64_MAX - 1},
        {"9223372036854775807", 0},
        {"9223372036854775808", 0},
        {"18446744073709551615", 0},
        {"18446744073709551617", 0},
        {"123456789012345678901234567890", 0},
        {"0", 0},
        {"-0", 0},
        {"-1", 0},
        {"-9223372036854775809", 0},
        {"1.0", 0},
        {"1.5", 0},
        {"1e2", 0},
        {"1E2", 0},
        {"\"1\"", 0},
        {"true", 0},
        {"null", 0},
        {"[1]", 0},
        {"{}", 0},
    };
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        char text[80];
        int64_t id = 0;
        snprintf(text, sizeof(text), "{\"id\":%s}", cases[i].number);
        struct json_object *o = parse(text);
        CHECK(json_get_id(o, "id", &id) == (cases[i].id ? JSON_OK : JSON_WRONG_TYPE));
        CHECK(id == cases[i].id);
        CHECK(json_get_id(o, "other", &id) == JSON_ABSENT);
        json_object_put(o);
    }
}

static void an_object_is_found_inside_an_object(void)
{
    struct json_object *o = parse("{\"data\":{\"receiver_id\":2},\"a\":[],\"z\":null}"),
                       *child = NULL;
    int64_t id;
    CHECK(json_get_object(o, "a", &child) == JSON_WRONG_TYPE);
    CHECK(json_get_object(o, "z", &child) == JSON_WRONG_TYPE);
    CHECK(json_get_object(o, "none", &child) == JSON_ABSENT);
    CHECK(!child);
    CHECK(json_get_object(o, "data", &child) == JSON_OK);
    CHECK(json_get_id(child, "receiver_id", &id) == JSON_OK && id == 2);
    json_object_put(o);
}

int main(void)
{
    RUN(what_the_grammar_allows_passes);
    RUN(what_is_not_json_is_refused_with_what_is_wrong);
    RUN(control_characters_in_a_string_must_be_escaped);
    RUN(nul_is_refused_raw_and_escaped);
    RUN(every_prefix_of_a_text_is_refused);
    RUN(nesting_has_a_limit_and_json_c_follows_up_to_it);
    RUN(what_passes_is_understood_by_json_c);
    RUN(strings_are_written_with_the_escapes_that_are_needed);
    RUN(what_is_written_reads_back);
    RUN(only_an_object_is_parsed);
    RUN(only_an_array_is_parsed_where_one_is_expected);
    RUN(text_is_found_with_its_length);
    RUN(an_id_is_a_whole_number_above_zero);
    RUN(an_object_is_found_inside_an_object);
    return DONE();
}

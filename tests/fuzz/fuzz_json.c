/*
 * JSON: what the checker accepts json-c accepts, all of it, and what json-c makes of it is JSON to
 * the checker again and the same value; and any UTF-8 survives being written as a string.
 */
#include "fuzz.h"

#include <json-c/json.h>

#include "buf.h"
#include "json.h"
#include "utf8.h"

/* Whether json-c takes a text; what it makes of it, of which NULL is null. */
static bool takes(int flags, const char *text, size_t n, struct json_object **o)
{
    struct json_tokener *t = json_tokener_new_ex(JSON_MAX_DEPTH + 1);
    json_tokener_set_flags(t, flags | JSON_TOKENER_ALLOW_TRAILING_CHARS);
    *o = json_tokener_parse_ex(t, text, (int)n);
    /* At the end of a number it waits for more digits: a blank tells it that there are none. */
    if (json_tokener_get_error(t) == json_tokener_continue)
        *o = json_tokener_parse_ex(t, " ", 1);
    bool good = json_tokener_get_error(t) == json_tokener_success;
    json_tokener_free(t);
    return good;
}

/* Of a text that has neither these bytes nor that many digits each strict json-c is right. */
static bool is_plain(const char *text, size_t n)
{
    size_t digits = 0;
    for (size_t i = 0; i < n; i++) {
        digits = text[i] >= '0' && text[i] <= '9' ? digits + 1 : 0;
        if ((text[i] & 0x80) || digits > 18)
            return false;
    }
    return true;
}

/* A strict json-c 0.18 takes the bytes of UTF-8 for control characters, and refuses integers of
 * more than 64 bits. (The server does not ask it to be strict: that is json_check().) */
static bool strict_takes_all(void)
{
    static const char both[] = "[\"\xc3\xbc\",123456789012345678901234567890]";
    static int answer = -1;
    if (answer < 0) {
        struct json_object *o;
        answer = takes(JSON_TOKENER_STRICT, both, strlen(both), &o);
        json_object_put(o);
    }
    return answer;
}

static struct json_object *parse(const char *text, size_t n)
{
    bool strict = is_plain(text, n) || strict_takes_all();
    struct json_object *o;
    REQUIRE(takes(strict ? JSON_TOKENER_STRICT : 0, text, n, &o));
    return o;
}

static void check_value(const char *text, size_t n)
{
    const char *error;
    struct json_object *value = parse(text, n);
    size_t size;
    const char *again = json_object_to_json_string_length(value, JSON_C_TO_STRING_PLAIN, &size);
    REQUIRE(json_check(again, size, JSON_MAX_DEPTH, &error));
    struct json_object *same = parse(again, size);
    REQUIRE(json_object_equal(value, same));
    json_object_put(same);
    json_object_put(value);
}

static void check_string(const char *s, size_t n)
{
    struct buf out = BUF_INIT;
    const char *error;
    json_put_string(&out, s, n);
    REQUIRE(memchr(s, 0, n) || json_check((char *)buf_head(&out), buf_len(&out), 0, &error));
    struct json_object *o = parse((char *)buf_head(&out), buf_len(&out));
    REQUIRE((size_t)json_object_get_string_len(o) == n);
    REQUIRE(memcmp(json_object_get_string(o), s, n) == 0);
    json_object_put(o);
    buf_free(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data, *error = NULL, *other = NULL;
    bool good = json_check(text, size, JSON_MAX_DEPTH, &error);
    REQUIRE(good == (error == NULL));
    if (good)
        check_value(text, size);
    struct json_object *object = json_parse_object(text, size, &other);
    REQUIRE(!object || (good && json_object_is_type(object, json_type_object)));
    REQUIRE(object || other);
    json_object_put(object);
    if (utf8_valid(data, size))
        check_string(text, size);
    return 0;
}

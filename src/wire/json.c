/* The strict JSON checker, a string writer, and typed access to json-c's objects; see json.h. */
#include "json.h"

#include <limits.h>
#include <string.h>

#include <json-c/json.h>

#include "log.h"
#include "utf8.h"

#define NOT_JSON "not valid JSON: "

struct checker {
    const char *p, *end;
    const char *error;
    uint64_t objects; /* one bit a level, lowest innermost: it is an object, not an array */
    int depth, max_depth;
};

static bool wrong(struct checker *c, const char *error)
{
    c->error = error;
    return false;
}

/* The next byte, or -1 at the end. */
static int peek(const struct checker *c)
{
    return c->p < c->end ? (unsigned char)*c->p : -1;
}

static bool take_byte(struct checker *c, char byte)
{
    if (peek(c) != byte)
        return false;
    c->p++;
    return true;
}

static void skip_space(struct checker *c)
{
    while (c->p < c->end && (*c->p == ' ' || *c->p == '\t' || *c->p == '\n' || *c->p == '\r'))
        c->p++;
}

static bool is_digit(int byte)
{
    return byte >= '0' && byte <= '9';
}

static bool take_digits(struct checker *c)
{
    const char *start = c->p;
    while (is_digit(peek(c)))
        c->p++;
    return c->p > start;
}

static bool check_number(struct checker *c)
{
    take_byte(c, '-');
    if (take_byte(c, '0')) {
        if (is_digit(peek(c)))
            return wrong(c, NOT_JSON "a number has a leading zero");
    } else if (!take_digits(c)) {
        return wrong(c, NOT_JSON "a minus sign without a number");
    }
    if (take_byte(c, '.') && !take_digits(c))
        return wrong(c, NOT_JSON "a number has no digit after its point");
    if (take_byte(c, 'e') || take_byte(c, 'E')) {
        if (!take_byte(c, '+'))
            take_byte(c, '-');
        if (!take_digits(c))
            return wrong(c, NOT_JSON "a number has no digit in its exponent");
    }
    return true;
}

static int hex_value(int byte)
{
    if (is_digit(byte))
        return byte - '0';
    byte |= 0x20;
    return byte >= 'a' && byte <= 'f' ? byte - 'a' + 10 : -1;
}

/* The four digits of a \u escape, or -1. */
static int take_hex4(struct checker *c)
{
    int value = 0;
    for (int i = 0; i < 4; i++, c->p++) {
        int digit = hex_value(peek(c));
        if (digit < 0)
            return -1;
        value = value << 4 | digit;
    }
    return value;
}

static bool check_unicode_escape(struct checker *c)
{
    static const char bad_hex[] = NOT_JSON "\\u is not followed by four hexadecimal digits";
    static const char half[] = NOT_JSON "half of a surrogate pair stands alone";
    int unit = take_hex4(c);
    if (unit < 0)
        return wrong(c, bad_hex);
    if (unit == 0)
        return wrong(c, "not acceptable JSON: the character \\u0000 cannot be stored");
    if (unit < 0xd800 || unit > 0xdfff)
        return true;
    if (unit >= 0xdc00 || !take_byte(c, '\\') || !take_byte(c, 'u'))
        return wrong(c, half);
    unit = take_hex4(c);
    if (unit < 0)
        return wrong(c, bad_hex);
    return (unit >= 0xdc00 && unit <= 0xdfff) || wrong(c, half);
}

static bool check_escape(struct checker *c)
{
    if (take_byte(c, 'u'))
        return check_unicode_escape(c);
    int byte = peek(c);
    if (byte <= 0 || !strchr("\"\\/bfnrt", byte))
        return wrong(c, byte < 0 ? NOT_JSON "a string is not closed"
                                 : NOT_JSON "a backslash before a character that needs none");
    c->p++;
    return true;
}

/* The rest of a string, after its opening quote. */
static bool check_string(struct checker *c)
{
    for (int byte; (byte = peek(c)) >= 0;) {
        if (byte < 0x20)
            return wrong(c, NOT_JSON "a control character in a string is not escaped");
        c->p++;
        if (byte == '"')
            return true;
        if (byte == '\\' && !check_escape(c))
            return false;
    }
    return wrong(c, NOT_JSON "a string is not closed");
}

static bool check_word(struct checker *c, const char *word)
{
    size_t n = strlen(word);
    if ((size_t)(c->end - c->p) < n || memcmp(c->p, word, n) != 0)
        return wrong(c, NOT_JSON "a word that is not true, false or null");
    c->p += n;
    return true;
}

static bool check_scalar(struct checker *c)
{
    int byte = peek(c);
    if (byte == '-' || is_digit(byte))
        return check_number(c);
    if (byte == 't')
        return check_word(c, "true");
    if (byte == 'f')
        return check_word(c, "false");
    if (byte == 'n')
        return check_word(c, "null");
    if (take_byte(c, '"'))
        return check_string(c);
    return wrong(c, byte < 0 ? NOT_JSON "it ends too early"
                             : NOT_JSON "something stands where a value should");
}

/* The name of a member and its colon. */
static bool check_key(struct checker *c)
{
    skip_space(c);
    if (!take_byte(c, '"'))
        return wrong(c, peek(c) < 0 ? NOT_JSON "an object is not closed"
                                    : NOT_JSON "a member of an object has no name in quotes");
    if (!check_string(c))
        return false;
    skip_space(c);
    return take_byte(c, ':') || wrong(c, NOT_JSON "a member of an object has no colon");
}

static bool in_object(const struct checker *c)
{
    return c->objects & 1;
}

static bool enter(struct checker *c, bool object)
{
    if (c->depth == c->max_depth)
        return wrong(c, "not acceptable JSON: it is nested too deeply");
    c->depth++;
    c->objects = c->objects << 1 | object;
    return true;
}

static bool take_close(struct checker *c)
{
    skip_space(c);
    if (c->depth == 0 || !take_byte(c, in_object(c) ? '}' : ']'))
        return false;
    c->depth--;
    c->objects >>= 1;
    return true;
}

/* From where a value must begin to the end of the first one that is not opened but ended: a
 * scalar, {} or []. */
static bool check_value(struct checker *c)
{
    for (;;) {
        skip_space(c);
        bool object = peek(c) == '{';
        if (!object && peek(c) != '[')
            return check_scalar(c);
        c->p++;
        if (!enter(c, object))
            return false;
        if (take_close(c))
            return true;
        if (object && !check_key(c))
            return false;
    }
}

/* From the end of a value to where the next one must begin, or to the end: then depth is 0. */
static bool check_next(struct checker *c)
{
    while (take_close(c))
        continue;
    if (c->depth == 0)
        return c->p == c->end || wrong(c, NOT_JSON "something follows its end");
    if (take_byte(c, ','))
        return !in_object(c) || check_key(c);
    if (peek(c) < 0)
        return wrong(c, in_object(c) ? NOT_JSON "an object is not closed"
                                     : NOT_JSON "an array is not closed");
    return wrong(c, in_object(c) ? NOT_JSON "a comma or a closing brace is missing"
                                 : NOT_JSON "a comma or a closing bracket is missing");
}

bool json_check(const char *text, size_t n, int max_depth, const char **error)
{
    struct checker c = {.p = text, .end = text, .max_depth = max_depth};
    if (max_depth > 64)
        bug("json_check: the stack has 64 bits, not %d", max_depth);
    if (n > 0)
        c.end += n;
    if (!utf8_valid((const uint8_t *)text, n))
        wrong(&c, NOT_JSON "it is not UTF-8");
    skip_space(&c);
    if (!c.error && c.p == c.end)
        wrong(&c, NOT_JSON "it is empty");
    while (!c.error && check_value(&c) && check_next(&c) && c.depth > 0)
        continue;
    *error = c.error;
    return !c.error;
}

/* The value begins with this character; otherwise *error is what it is not. */
static struct json_object *parse(const char *text, size_t n, char begins, const char *other,
                                 const char **error)
{
    if (n > INT_MAX) {
        *error = "not acceptable JSON: it is too long";
        return NULL;
    }
    if (!json_check(text, n, JSON_MAX_DEPTH, error))
        return NULL;
    if (text[strspn(text, " \t\r\n")] != begins) {
        *error = other;
        return NULL;
    }
    /* json-c counts the values inside the innermost level as one level more. */
    struct json_tokener *tokener = json_tokener_new_ex(JSON_MAX_DEPTH + 1);
    if (!tokener)
        die("out of memory: a JSON parser");
    struct json_object *value = json_tokener_parse_ex(tokener, text, (int)n);
    if (!value)
        *error = "not acceptable JSON: the parser refused it";
    json_tokener_free(tokener);
    return value;
}

struct json_object *json_parse_object(const char *text, size_t n, const char **error)
{
    return parse(text, n, '{', "not acceptable JSON: it is not an object", error);
}

struct json_object *json_parse_array(const char *text, size_t n, const char **error)
{
    return parse(text, n, '[', "not acceptable JSON: it is not an array", error);
}

/* Finds a member of one type. */
static enum json_get get(struct json_object *object, const char *key, enum json_type type,
                         struct json_object **value)
{
    if (!json_object_object_get_ex(object, key, value))
        return JSON_ABSENT;
    return json_object_is_type(*value, type) ? JSON_OK : JSON_WRONG_TYPE;
}

enum json_get json_get_text(struct json_object *object, const char *key, struct text *text)
{
    struct json_object *value;
    enum json_get found = get(object, key, json_type_string, &value);
    if (found == JSON_OK) {
        text->p = json_object_get_string(value);
        text->n = (size_t)json_object_get_string_len(value);
    }
    return found;
}

bool json_is_null(struct json_object *object, const char *key)
{
    struct json_object *value;
    return json_object_object_get_ex(object, key, &value) && !value;
}

/* json-c turns every larger number into INT64_MAX, so that value is refused too. */
static bool is_id(struct json_object *value, int64_t *id)
{
    int64_t number = json_object_is_type(value, json_type_int) ? json_object_get_int64(value) : 0;
    if (number <= 0 || number == INT64_MAX)
        return false;
    *id = number;
    return true;
}

enum json_get json_get_id(struct json_object *object, const char *key, int64_t *id)
{
    struct json_object *value;
    enum json_get found = get(object, key, json_type_int, &value);
    if (found != JSON_OK)
        return found;
    return is_id(value, id) ? JSON_OK : JSON_WRONG_TYPE;
}

enum json_get json_get_bool(struct json_object *object, const char *key, bool *value)
{
    struct json_object *found;
    enum json_get got = get(object, key, json_type_boolean, &found);
    if (got == JSON_OK)
        *value = json_object_get_boolean(found);
    return got;
}

enum json_get json_get_ids(struct json_object *object, const char *key, int64_t *ids, size_t most,
                           size_t *count)
{
    struct json_object *array;
    enum json_get found = get(object, key, json_type_array, &array);
    *count = 0;
    if (found != JSON_OK)
        return found;
    size_t size = json_object_array_length(array);
    if (size > most)
        return JSON_WRONG_TYPE;
    for (; *count < size; ++*count)
        if (!is_id(json_object_array_get_idx(array, *count), &ids[*count]))
            return JSON_WRONG_TYPE;
    return JSON_OK;
}

enum json_get json_get_object(struct json_object *object, const char *key,
                              struct json_object **child)
{
    struct json_object *value;
    enum json_get found = get(object, key, json_type_object, &value);
    if (found == JSON_OK)
        *child = value;
    return found;
}

/*
 * The configuration: a file, a .env and an argument of -o. Whatever of it was accepted, what goes
 * to the other roles reads back as the same, and what a reload may take over it takes over.
 */
#include "fuzz.h"

#include "buf.h"
#include "conf.h"

enum { ALL_ROLES = CONF_MASTER | CONF_SESSION | CONF_BROKER | CONF_AUTH };

static void require_same(const struct buf *a, const struct buf *b)
{
    REQUIRE(buf_len(a) == buf_len(b) && memcmp(buf_head(a), buf_head(b), buf_len(a)) == 0);
}

static void check_dump(const struct conf *c)
{
    struct buf text = BUF_INIT, again = BUF_INIT;
    struct conf copy;
    struct conf_error e = {""};
    conf_init(&copy);
    conf_dump(c, &text, ALL_ROLES);
    REQUIRE(buf_len(&text) <= CONF_DUMP_MAX);
    REQUIRE(conf_load_text(&copy, (char *)buf_head(&text), buf_len(&text), "dump", &e) == 0);
    conf_dump(&copy, &again, ALL_ROLES);
    require_same(&text, &again);
    conf_free(&copy);
    buf_free(&text);
    buf_free(&again);
}

static void check_reload(const struct conf *fresh)
{
    struct buf first = BUF_INIT, second = BUF_INIT;
    struct conf running;
    conf_init(&running);
    conf_reload(&running, fresh, &first);
    conf_reload(&running, fresh, &second);
    REQUIRE(buf_len(&first) == buf_len(&second));
    conf_free(&running);
    buf_free(&first);
    buf_free(&second);
}

static void check(struct conf *c, int result, struct conf_error *e)
{
    REQUIRE(result == 0 || (result == -1 && e->text[0] && strlen(e->text) < sizeof(e->text)));
    if (result == 0) {
        check_dump(c);
        check_reload(c);
        REQUIRE(conf_check(c, e) == 0 || e->text[0]);
    }
    conf_free(c);
}

/* In memory that ends where the function may still write. */
static int load_env(struct conf *c, const uint8_t *data, size_t size, struct conf_error *e)
{
    char *text = malloc(size + 1);
    REQUIRE(text);
    memcpy(text, data, size);
    int result = conf_load_env_text(c, text, size, ".env", e);
    free(text);
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct conf c;
    struct conf_error e = {""};
    conf_init(&c);
    check(&c, conf_load_text(&c, (const char *)data, size, "fuzz.conf", &e), &e);
    conf_init(&c);
    check(&c, load_env(&c, data, size, &e), &e);
    char *argument = malloc(size + 1);
    REQUIRE(argument);
    memcpy(argument, data, size);
    argument[size] = '\0';
    conf_init(&c);
    check(&c, conf_set_option(&c, argument, &e), &e);
    free(argument);
    return 0;
}

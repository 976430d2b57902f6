/* Cursors: a text that is accepted is the only one for what it says. */
#include "fuzz.h"

#include "cursor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct cursor c;
    char text[CURSOR_TEXT];
    uint8_t *copy = exact_copy(data, size);
    if (cursor_parse((const char *)copy, size, "0a1b2c3d4e5f", &c))
        REQUIRE(cursor_format(text, "0a1b2c3d4e5f", c) == size && memcmp(text, copy, size) == 0);
    free(copy);
    return 0;
}

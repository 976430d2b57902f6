/*
 * The PROXY protocol: what stands in front of a connection. The parser is given what it asks for
 * and no more, so nothing of what follows is taken; the answer depends on the header's bytes alone.
 */
#include "fuzz.h"

#include "proxy.h"

/* Reads as a session does: exactly as much as the parser wants. Returns its last word. */
static long read_header(const uint8_t *data, size_t size, size_t *used, struct proxy_header *h)
{
    long more = proxy_parse(data, 0, h);
    *used = 0;
    while (more > 0 && *used + (size_t)more <= size) {
        *used += (size_t)more;
        uint8_t *copy = exact_copy(data, *used);
        more = proxy_parse(copy, *used, h);
        free(copy);
    }
    REQUIRE(*used <= PROXY_MAX);
    return more;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct proxy_header h = {0}, again = {0};
    size_t used, same;
    long result = read_header(data, size, &used, &h);
    REQUIRE(result >= -1);
    if (result != 0)
        return 0;
    char text[NETADDR_TEXT];
    if (h.given) {
        netaddr_format(&h.client, text);
        REQUIRE(*text);
    }
    /* Whatever follows is not looked at. */
    REQUIRE(read_header(data, used, &same, &again) == 0 && same == used && again.given == h.given);
    return 0;
}

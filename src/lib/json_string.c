/* JSON strings; see json_string.h. */
#include "json_string.h"

static void put_escape(struct buf *out, unsigned char c)
{
    static const char shorts[] = "\"\"\\\\\bb\ff\nn\rr\tt";
    for (size_t i = 0; i < sizeof(shorts) - 1; i += 2)
        if ((unsigned char)shorts[i] == c) {
            buf_append(out, (char[2]){'\\', shorts[i + 1]}, 2);
            return;
        }
    buf_printf(out, "\\u%04x", c);
}

void json_put_string(struct buf *out, const char *s, size_t n)
{
    size_t run = 0; /* where the bytes begin that need no escape and are not copied yet */
    buf_append(out, "\"", 1);
    for (size_t i = 0; i < n; i++) {
        unsigned char c = (unsigned char)s[i];
        if (c >= 0x20 && c != '"' && c != '\\')
            continue;
        buf_append(out, s + run, i - run);
        put_escape(out, c);
        run = i + 1;
    }
    if (n > run)
        buf_append(out, s + run, n - run);
    buf_append(out, "\"", 1);
}

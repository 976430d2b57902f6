/* Reactions; see emoji.h. */
#include "emoji.h"

#include <stdint.h>
#include <string.h>

#include "utf8.h"

bool emoji_fits(struct text t)
{
    return t.n >= 1 && t.n <= EMOJI_MAX && utf8_valid((const uint8_t *)t.p, t.n) &&
           utf8_inline(t.p, t.n) && !memchr(t.p, ' ', t.n);
}

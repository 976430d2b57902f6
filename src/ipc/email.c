/* Addresses of mail; see email.h. */
#include "email.h"

#include <string.h>

bool email_fits(const char *p, size_t n)
{
    const char *at = memchr(p, '@', n);
    const char *end = p + n;
    bool good = n <= EMAIL_MAX && at && at > p && at + 1 < end &&
                !memchr(at + 1, '@', (size_t)(end - at - 1));
    for (size_t i = 0; good && i < n; i++)
        good = (unsigned char)p[i] > ' ' && p[i] != 0x7f;
    return good;
}

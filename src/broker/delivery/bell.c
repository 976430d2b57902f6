/* The words of a bell; see bell.h. */
#include "bell.h"

#include <string.h>

#include "username.h"

bool bell_take_number(const char **at, int64_t *number)
{
    const char *p = *at;
    *number = 0;
    if (p[0] != ' ' || p[1] < '0' || p[1] > '9')
        return false;
    for (p++; *p >= '0' && *p <= '9'; p++)
        if (__builtin_mul_overflow(*number, 10, number) ||
            __builtin_add_overflow(*number, *p - '0', number))
            return false;
    *at = p;
    return true;
}

bool bell_take_id(const char **at, int64_t *id)
{
    return bell_take_number(at, id) && *id > 0;
}

bool bell_take_name(const char **at, struct text *name)
{
    if (**at != ' ')
        return false;
    *name = (struct text){*at + 1, strspn(*at + 1, USERNAME_CHARS)};
    *at = name->p + name->n;
    return name->n >= 1 && name->n <= USERNAME_MAX;
}

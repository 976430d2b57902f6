/* A view of bytes that belong to somebody else; not NUL-terminated. */
#ifndef TEXT_H
#define TEXT_H

#include <stddef.h>

struct text {
    const char *p; /* NULL, where that is allowed: there is none */
    size_t n;
};

#endif

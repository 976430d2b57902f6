/* The latest thing to know; see notice.h. */
#include "notice.h"

#include <stdarg.h>
#include <stdio.h>

static char text[600];

void notice_say(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
}

void notice_clear(void)
{
    text[0] = '\0';
}

const char *notice_text(void)
{
    return text;
}

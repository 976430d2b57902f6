/* What the commands share; see ctl.h. */
#include "ctl.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

struct ctl ctl;

static void __attribute__((format(printf, 1, 0))) say(const char *fmt, va_list ap)
{
    fflush(stdout); /* what was done stands before what failed */
    fputs("chatctl: ", stderr);
    vfprintf(stderr, fmt, ap);
    fputc('\n', stderr);
}

void ctl_fail(enum ctl_status status, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(fmt, ap);
    va_end(ap);
    exit((int)status);
}

void ctl_note(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(fmt, ap);
    va_end(ap);
}

/* What the commands share; see program.h. */
#include "program.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "buf.h"
#include "log.h"
#include "show.h"

struct program program;
void (*program_leave)(void);

static void __attribute__((format(printf, 1, 0))) say(const char *fmt, va_list ap)
{
    char *text;
    struct buf out = BUF_INIT;
    if (vasprintf(&text, fmt, ap) < 0)
        die("out of memory");
    if (program_leave)
        program_leave();
    buf_puts(&out, "chat: ");
    show_put(&out, (struct text){text, strlen(text)});
    buf_puts(&out, "\n");
    fflush(stdout); /* what was done stands before what failed */
    fwrite(buf_head(&out), 1, buf_len(&out), stderr);
    buf_free(&out);
    free(text);
}

void program_fail(enum chat_status status, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(fmt, ap);
    va_end(ap);
    _exit((int)status); /* what callers hold is the kernel's to free, and no leak */
}

void program_note(const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    say(fmt, ap);
    va_end(ap);
}

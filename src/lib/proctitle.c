/*
 * The process title; see proctitle.h.
 *
 * The kernel lays argv and the environment out as one block of NUL-terminated strings at the
 * top of the stack (execve(2)); ps(1) reads the first part through /proc/PID/cmdline. The
 * block is as long as the command line and the environment happened to be.
 */
#include "proctitle.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "log.h"

extern char **environ;

static char *area;
static size_t area_size;

void proctitle_init(int argc, char **argv)
{
    char *end = argv[0];
    for (int i = 0; i < argc; i++)
        if (argv[i] == end)
            end += strlen(argv[i]) + 1;
    size_t count = 0, bytes = 0;
    for (char **e = environ; *e; e++, count++) {
        bytes += strlen(*e) + 1;
        if (*e == end)
            end += strlen(*e) + 1;
    }

    /* One block for everything, so that a variable unset later leaks nothing. */
    static char **copy, *strings;
    copy = xcalloc(count + 1, sizeof(*copy));
    strings = xcalloc(bytes + 1, 1);
    char *to = strings;
    for (size_t i = 0; i < count; i++) {
        copy[i] = to;
        to = stpcpy(to, environ[i]) + 1;
    }
    char *environment = argv[argc - 1] + strlen(argv[argc - 1]) + 1;
    environ = copy;
    if (environment < end)
        explicit_bzero(environment, (size_t)(end - environment));
    area = argv[0];
    area_size = (size_t)(end - area);
}

void proctitle_set(const char *fmt, ...)
{
    if (area_size < 2)
        return;
    char text[256];
    va_list ap;
    va_start(ap, fmt);
    vsnprintf(text, sizeof(text), fmt, ap);
    va_end(ap);
    memset(area, 0, area_size);
    snprintf(area, area_size - 1, "chatd: %s", text);
}

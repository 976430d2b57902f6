/* Whether a path can be trusted; see trust.h. */
#include "trust.h"

#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

const char *trust_fault(const struct stat *st)
{
    if (st->st_uid != 0 && st->st_uid != geteuid())
        return "belongs to another user, who could change it; chown it to the user who starts "
               "chatd, or to root";
    bool shared = S_ISDIR(st->st_mode) && (st->st_mode & S_ISVTX);
    if (!shared && !S_ISLNK(st->st_mode) && (st->st_mode & (S_IWGRP | S_IWOTH)))
        return "may be written by others; run: chmod go-w";
    return NULL;
}

/* Every folder on the way to a path, from the root on, and the path itself. */
static const char *walk(const char *path, char *place)
{
    for (size_t n = 1;; n += 1 + strcspn(path + n + 1, "/")) {
        struct stat st;
        snprintf(place, PATH_MAX, "%.*s", (int)n, path);
        if (lstat(place, &st) < 0)
            return errno == ENOENT ? NULL : strerror(errno);
        const char *fault = trust_fault(&st);
        if (fault || !path[n])
            return fault;
    }
}

const char *trust_path_fault(const char *path, char *place)
{
    const char *fault = walk(path, place);
    char *target = fault ? NULL : realpath(path, NULL);
    if (target)
        fault = walk(target, place);
    else if (!fault && errno != ENOENT)
        fault = strerror(errno);
    free(target);
    return fault;
}

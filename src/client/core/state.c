/* Small files; see state.h. */
#include "state.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "program.h"

static char *join(const char *folder, const char *name)
{
    char *path;
    if (asprintf(&path, "%s/%s", folder, name) < 0)
        die("out of memory");
    return path;
}

/* The specification says that a relative path counts as none. */
static char *state_folder(void)
{
    const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
    if (state && *state == '/')
        return join(state, "chatd");
    if (!home || *home != '/')
        program_fail(CHAT_FAILED, "neither XDG_STATE_HOME nor HOME says where to keep files");
    return join(home, ".local/state/chatd");
}

char *state_path(const char *name)
{
    if (strchr(name, '/'))
        return xstrdup(name);
    char *folder = state_folder(), *path = join(folder, name);
    free(folder);
    return path;
}

bool state_read(const char *path, struct buf *out)
{
    long n = 1;
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0 && (errno == ENOENT || errno == ENOTDIR))
        return false;
    while (fd >= 0 && n > 0 && buf_len(out) <= STATE_MAX)
        n = buf_read(out, fd, STATE_MAX);
    if (fd < 0 || n < 0)
        program_fail(CHAT_FAILED, "%s: %s", path, strerror(errno));
    if (buf_len(out) > STATE_MAX)
        program_fail(CHAT_FAILED, "%s: it is too large; remove it", path);
    close(fd);
    return true;
}

static void make_folders(const char *path)
{
    char *folder = xstrdup(path);
    for (char *s = folder + 1; (s = strchr(s, '/')); s++) {
        *s = '\0';
        if (mkdir(folder, 0700) < 0 && errno != EEXIST)
            program_fail(CHAT_FAILED, "%s: %s", folder, strerror(errno));
        *s = '/';
    }
    free(folder);
}

/* Renamed into place, and never seen half written; the name is this process's own. */
void state_write(const char *path, const struct buf *content)
{
    char *other;
    if (asprintf(&other, "%s.%ld", path, (long)getpid()) < 0)
        die("out of memory");
    make_folders(path);
    unlink(other);
    int fd = open(other, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    size_t n = buf_len(content);
    bool written = fd >= 0 && write(fd, buf_head(content), n) == (ssize_t)n;
    if (fd >= 0 && close(fd) < 0)
        written = false;
    if (!written || rename(other, path) < 0) {
        int error = errno;
        unlink(other);
        program_fail(CHAT_FAILED, "%s: %s", path, strerror(error));
    }
    free(other);
}

void state_remove(const char *path)
{
    if (unlink(path) < 0 && errno != ENOENT)
        program_fail(CHAT_FAILED, "%s: %s", path, strerror(errno));
}

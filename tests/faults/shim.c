/*
 * A full disk, a clock that steps and calls that fail, for one process tree: preloaded into
 * PostgreSQL and chatd.
 *
 * The environment variable CHATD_FAULTS names a file of three 64-bit numbers, which this object
 * maps into each process at its start and which the suite changes while they run:
 *
 *   seconds   are added to what time(), gettimeofday() and clock_gettime(CLOCK_REALTIME) say
 *   full      not 0: in PostgreSQL, whatever would make a regular file grow fails with ENOSPC; what
 *             overwrites a part that is there (the write-ahead log in its zeroed segments) does
 *             not, as on a real disk
 *   failing   not 0: the seed of chance by which some of the signer's calls fail
 *
 * A mapping costs no system call when it is read, so it works in a process whose filter of system
 * calls forbids to open files. A small mounted file system would fill up as truly, but to mount
 * one needs root, and so does setting the clock, of which there is also only one for everybody.
 * libfaketime keeps a semaphore and shared memory under a name, which a process killed with
 * SIGKILL leaves behind, and killing processes so is what this suite does all the time.
 */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

struct control {
    int64_t seconds;
    int64_t full;
    int64_t failing;
};

static const volatile struct control *control;
static bool postgres, signer;

__attribute__((constructor)) static void map_control(void)
{
    const char *path = getenv("CHATD_FAULTS");
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (fd < 0)
        return;
    struct stat st;
    if (fstat(fd, &st) == 0 && st.st_size >= (off_t)sizeof(*control)) {
        void *p = mmap(NULL, sizeof(*control), PROT_READ, MAP_SHARED, fd, 0);
        if (p != MAP_FAILED)
            control = p;
    }
    close(fd);
    postgres = strcmp(program_invocation_short_name, "postgres") == 0;
    signer = strcmp(program_invocation_short_name, "chatd-signer") == 0;
}

/* Finds what a function of ours stands in front of. */
#define NEXT(type, name, ...)                                                                      \
    static type (*next)(__VA_ARGS__);                                                              \
    if (!next)                                                                                     \
    *(void **)&next = dlsym(RTLD_NEXT, #name)

/* --- the clock --- */

static time_t step(void)
{
    return control ? (time_t)control->seconds : 0;
}

int clock_gettime(clockid_t clock, struct timespec *ts)
{
    NEXT(int, clock_gettime, clockid_t, struct timespec *);
    int r = next(clock, ts);
    if (r == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        ts->tv_sec += step();
    return r;
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
    NEXT(int, gettimeofday, struct timeval *restrict, void *restrict);
    int r = next(tv, zone);
    if (r == 0)
        tv->tv_sec += step();
    return r;
}

time_t time(time_t *at)
{
    struct timespec ts;
    clock_gettime(CLOCK_REALTIME_COARSE, &ts);
    if (at)
        *at = ts.tv_sec;
    return ts.tv_sec;
}

/* --- calls of the signer --- */

/* A number below 16 by the seed, 16 where nothing is to fail. */
static unsigned chance(void)
{
    static uint64_t calls;
    if (!signer || !control || !control->failing)
        return 16;
    /* splitmix64 */
    uint64_t x = (uint64_t)control->failing + ++calls * 0x9e3779b97f4a7c15;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9;
    x = (x ^ (x >> 27)) * 0x94d049bb133111eb;
    return (x ^ (x >> 31)) & 15;
}

static int fails(int error)
{
    errno = error;
    return -1;
}

int ppoll(struct pollfd *fds, nfds_t count, const struct timespec *timeout, const sigset_t *mask)
{
    NEXT(int, ppoll, struct pollfd *, nfds_t, const struct timespec *, const sigset_t *);
    switch (chance()) {
    case 0:
        return fails(EINTR);
    case 1:
        return fails(ENOMEM);
    default:
        return next(fds, count, timeout, mask);
    }
}

/* The request stays where it is. After what is no interruption, and not too early, the signer ends.
 */
ssize_t recv(int fd, void *p, size_t n, int flags)
{
    NEXT(ssize_t, recv, int, void *, size_t, int);
    switch (chance()) {
    case 0:
        return fails(EINTR);
    case 1:
        return fails(EAGAIN);
    case 2:
        return fails(ENOMEM);
    default:
        return next(fd, p, n, flags);
    }
}

ssize_t send(int fd, const void *p, size_t n, int flags)
{
    NEXT(ssize_t, send, int, const void *, size_t, int);
    switch (chance()) {
    case 0:
        return fails(EINTR);
    case 1:
        return fails(ENOBUFS);
    case 2:
        return fails(ENOMEM);
    default:
        return next(fd, p, n, flags);
    }
}

/* --- the disk --- */

/* Whether there is no room for a file that ends where this write would end. */
static bool no_room(int fd, off_t end)
{
    struct stat st;
    if (!postgres || !control || !control->full)
        return false;
    if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode) || end <= st.st_size)
        return false;
    errno = ENOSPC;
    return true;
}

static off_t write_begin(int fd)
{
    struct stat st;
    if (!control || !control->full)
        return 0;
    if ((fcntl(fd, F_GETFL) & O_APPEND) && fstat(fd, &st) == 0)
        return st.st_size;
    return lseek(fd, 0, SEEK_CUR);
}

static off_t total(const struct iovec *parts, int count)
{
    off_t n = 0;
    for (int i = 0; i < count; i++)
        n += (off_t)parts[i].iov_len;
    return n;
}

ssize_t write(int fd, const void *p, size_t n)
{
    NEXT(ssize_t, write, int, const void *, size_t);
    switch (chance()) {
    case 0:
        return fails(EINTR);
    case 1:
        return fails(ENOMEM);
    case 2:
        n = n > 1 ? n / 2 : n;
    }
    return no_room(fd, write_begin(fd) + (off_t)n) ? -1 : next(fd, p, n);
}

ssize_t writev(int fd, const struct iovec *parts, int count)
{
    NEXT(ssize_t, writev, int, const struct iovec *, int);
    return no_room(fd, write_begin(fd) + total(parts, count)) ? -1 : next(fd, parts, count);
}

ssize_t pwrite(int fd, const void *p, size_t n, off_t at)
{
    NEXT(ssize_t, pwrite, int, const void *, size_t, off_t);
    return no_room(fd, at + (off_t)n) ? -1 : next(fd, p, n, at);
}

ssize_t pwritev(int fd, const struct iovec *parts, int count, off_t at)
{
    NEXT(ssize_t, pwritev, int, const struct iovec *, int, off_t);
    return no_room(fd, at + total(parts, count)) ? -1 : next(fd, parts, count, at);
}

int fallocate(int fd, int mode, off_t at, off_t n)
{
    NEXT(int, fallocate, int, int, off_t, off_t);
    return no_room(fd, at + n) ? -1 : next(fd, mode, at, n);
}

/* It returns the error, and leaves errno alone. */
int posix_fallocate(int fd, off_t at, off_t n)
{
    NEXT(int, posix_fallocate, int, off_t, off_t);
    return no_room(fd, at + n) ? ENOSPC : next(fd, at, n);
}

int ftruncate(int fd, off_t size)
{
    NEXT(int, ftruncate, int, off_t);
    return no_room(fd, size) ? -1 : next(fd, size);
}

/* Where off_t has 64 bits anyway, the same functions have a second name. */
_Static_assert(sizeof(off_t) == 8, "off_t has 64 bits");
ssize_t pwrite64(int fd, const void *p, size_t n, off64_t at)
{
    return pwrite(fd, p, n, at);
}

ssize_t pwritev64(int fd, const struct iovec *parts, int count, off64_t at)
{
    return pwritev(fd, parts, count, at);
}

int fallocate64(int fd, int mode, off64_t at, off64_t n)
{
    return fallocate(fd, mode, at, n);
}

int posix_fallocate64(int fd, off64_t at, off64_t n)
{
    return posix_fallocate(fd, at, n);
}

int ftruncate64(int fd, off64_t size)
{
    return ftruncate(fd, size);
}

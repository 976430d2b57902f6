/* A heap with holes, and children that allocate. */
#include "heap.h"

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sanitized.h"
#include "test.h"

enum { PIECES = 4000, CHILD_PIECES = 60 };

static void *pieces[PIECES];

/* One of many sizes, each of which glibc keeps apart. */
static size_t size_of(int i)
{
    return 24 + (size_t)i * 16 % 900;
}

static void make_holes(void)
{
    for (int i = 0; i < PIECES; i++) {
        pieces[i] = malloc(size_of(i));
        CHECK(pieces[i]);
        memset(pieces[i], 1, size_of(i));
    }
    /* With those that stay the holes cannot join. */
    for (int i = 0; i < PIECES; i += 2) {
        free(pieces[i]);
        pieces[i] = NULL;
    }
}

static void free_pieces(void)
{
    for (int i = 0; i < PIECES; i++) {
        free(pieces[i]);
        pieces[i] = NULL;
    }
}

static long faults(void)
{
    struct rusage used;
    getrusage(RUSAGE_SELF, &used);
    return used.ru_minflt;
}

/* How many pages a child touches that fills a few pieces. */
static int touched_by_child(void)
{
    pid_t pid = fork();
    CHECK(pid >= 0);
    if (pid == 0) {
        long before = faults();
        for (int i = 0; i < CHILD_PIECES; i++)
            memset(malloc(size_of(7 * i)), 1, size_of(7 * i));
        _exit((int)(faults() - before));
    }
    int status;
    CHECK(waitpid(pid, &status, 0) == pid && WIFEXITED(status));
    return WEXITSTATUS(status);
}

static void children_fill_no_holes(void)
{
    make_holes();
    int before = touched_by_child();
    heap_settle();
    int after = touched_by_child();
    /* 28 kB in eight pages, and a few that any child writes to. */
    if (!SANITIZED)
        CHECK(before >= 25 && after <= 15);
    free_pieces();
}

static void what_is_free_goes_back(void)
{
    make_holes();
    char *large[32];
    for (int i = 0; i < 32; i++) {
        large[i] = malloc(60000);
        memset(large[i], 1, 60000);
    }
    void *above = malloc(100);
    for (int i = 0; i < 32; i++)
        free(large[i]);
    heap_trim();
    long before = faults();
    char *p = malloc(60000);
    memset(p, 1, 60000);
    /* Its pages were gone: each is touched for the first time. */
    if (!SANITIZED)
        CHECK(faults() - before >= 14);
    free(p);
    free(above);
    free_pieces();
}

int main(void)
{
    RUN(children_fill_no_holes);
    RUN(what_is_free_goes_back);
    return DONE();
}

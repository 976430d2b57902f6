/* A heap whose pages children share; see heap.h. malloc(3) of glibc. */
#include "heap.h"

#include <malloc.h>
#include <stdint.h>
#include <stdlib.h>
#include <unistd.h>

/* Bytes. The freed pieces that glibc keeps by their size, for the next that asks for it, have up to
 * FINE bytes, and sizes that differ by STEP. */
enum { LARGEST = 64 * 1024, FINE = 1032, SMALLEST = 24, STEP = 16 };

struct piece {
    struct piece *next;
};

extern char end;            /* of the program's own data, see end(3); the heap is above */
static struct piece *taken; /* only so that it is not lost */

/* Takes pieces of this size until one does not come from a hole. That one stays taken, too: once
 * freed, it would be a hole itself. */
static void take(size_t size, uintptr_t top)
{
    struct piece *p;
    do {
        p = malloc(size);
        if (!p)
            return;
        p->next = taken;
        taken = p;
    } while ((uintptr_t)p > (uintptr_t)&end && (uintptr_t)p < top);
}

void heap_settle(void)
{
    heap_trim();
    uintptr_t top = (uintptr_t)sbrk(0);
    for (size_t size = LARGEST; size > FINE; size /= 2)
        take(size, top);
    for (size_t size = FINE; size >= SMALLEST; size -= STEP)
        take(size, top);
}

void heap_trim(void)
{
    malloc_trim(0);
}

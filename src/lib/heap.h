/*
 * The heap of a process that forks children, which shall share its pages.
 *
 * What is free in such a heap lies between what is in use. A child that fills these holes writes
 * to, and so copies, a page for each.
 */
#ifndef HEAP_H
#define HEAP_H

/* Takes all that is free out of use for good, so that what is allocated from now on, in children
 * too, lies side by side at the end of the heap. To be called once, when the heap has grown to its
 * size and before the first fork. */
void heap_settle(void);

/* Gives pages that are free back to the system, wherever they are in the heap. */
void heap_trim(void);

#endif

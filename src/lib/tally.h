/* Counts by number: how many channels a process has, how many connections a user. What counts zero
 * takes no memory. */
#ifndef TALLY_H
#define TALLY_H

#include <stdbool.h>

#include "map.h"

/* All zero bytes: everything counts zero. */
struct tally {
    struct map counts;
};

/* Counts one more for key and returns true; false, and nothing changes, if that would be more than
 * most. */
bool tally_add(struct tally *t, uint64_t key, int64_t most);

/* Counts one less for a key that was added. */
void tally_drop(struct tally *t, uint64_t key);

void tally_free(struct tally *t);

#endif

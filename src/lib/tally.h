/* Counters by number, such as channels per process or connections per user. A zero takes no
 * memory. */
#ifndef TALLY_H
#define TALLY_H

#include <stdbool.h>

#include "map.h"

/* All zero bytes: everything counts zero. */
struct tally {
    struct map counts;
};

/* Increments the counter for key; false, and no change, if it would exceed most. */
bool tally_add(struct tally *t, uint64_t key, int64_t most);

/* Counts one less for a key that was added. */
void tally_drop(struct tally *t, uint64_t key);

int64_t tally_count(const struct tally *t, uint64_t key);

void tally_free(struct tally *t);

#endif

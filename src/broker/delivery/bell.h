/* What a bell of another host carries beside its kind: words, each behind a blank. */
#ifndef BELL_H
#define BELL_H

#include <stdbool.h>
#include <stdint.h>

#include "text.h"

/* Takes the next word off *at, a number of zero or more. False, and *at is of no more use, if it is
 * none. */
bool bell_take_number(const char **at, int64_t *number);

/* The same for a number above zero. */
bool bell_take_id(const char **at, int64_t *id);

/* The same for a username. */
bool bell_take_name(const char **at, struct text *name);

#endif

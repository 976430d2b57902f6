/* Who is who: names and presence of users, by their ids. */
#ifndef PEOPLE_H
#define PEOPLE_H

#include <stdbool.h>
#include <stdint.h>

#include "text.h"

/* The one whose window this is. */
extern int64_t people_me;

/* The name of a user; "user 7", valid until the next call, of one who is not known yet. */
const char *people_name(int64_t id);
void people_learn(int64_t id, struct text name); /* an empty one is none */

bool people_online(int64_t id);
void people_set_online(int64_t id, bool online);

/* Somebody's name was not known when it was shown: the id, once; 0: nobody's. */
int64_t people_missing(void);

void people_free(void);

#endif

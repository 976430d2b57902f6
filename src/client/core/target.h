/* Whom the words of the command line mean: a user by name, a group as #NAME or by its number, #7.
 */
#ifndef TARGET_H
#define TARGET_H

#include <stdint.h>

struct target {
    int64_t conversation;
    char *path; /* "/conversations/7"; owned */
};

/* Finds the conversation with a user, or a group. Ends the program if there is none, or if several
 * groups have the name. */
void target_find(struct target *t, const char *word);

/* As target_find(), where only a group will do. */
void target_find_group(struct target *t, const char *word);

void target_free(struct target *t);

/* The id of a user. Ends the program if there is none. */
int64_t target_user(const char *name);

#endif

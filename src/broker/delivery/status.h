/*
 * A row of the table presence: who came or went, whom that concerns, and the frame that tells them.
 */
#ifndef STATUS_H
#define STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "db.h"

/* A parameter of a statement: the configured audience, "all", "contacts" or "off". */
void status_param_mode(struct db_params *params);

/* Users in the order of their ids. */
struct user_set {
    const int64_t *ids;
    size_t count;
};

/* A row of presence_read(). Views are valid until the next call, and no longer than the result. */
struct status {
    uint64_t change;
    int64_t user;
    bool online; /* as the audience sees it */
    bool view;   /* only that has changed, by a block; the user has neither come nor gone */
    bool to_all;
    struct user_set audience, hidden; /* the latter: from whom a block hides it nevertheless */
    const char *frame;                /* as the client sees it */
    size_t size;
};
struct status status_from_row(const PGresult *result, int row);
bool status_concerns(const struct status *s, int64_t user);

void status_free(void);

#endif

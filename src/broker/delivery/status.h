/*
 * A row of the table presence: who came or went, whom that concerns, and the frame that tells them.
 */
#ifndef STATUS_H
#define STATUS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "db.h"

/* The configured audience: "all", "contacts" or "off". */
const char *status_mode(void);

/* A row of presence_read(). Views are valid until the next call, and no longer than the result. */
struct status {
    uint64_t change;
    int64_t user;
    bool online;
    bool to_all;
    const int64_t *audience;
    size_t audience_count;
    const char *frame; /* as the client sees it */
    size_t size;
};
struct status status_from_row(const PGresult *result, int row);
bool status_concerns(const struct status *s, int64_t user);

void status_free(void);

#endif

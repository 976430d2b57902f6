/*
 * Cursors: how far a client is in the sequence of changes.
 *
 * To a client a cursor is opaque text, tag-change-stamp. The tag names the database, the change is
 * the number of the last one that the client has, and the stamp tells it from another change that
 * got the same number after a failover or a restore (sql/0005_cursors.sql).
 */
#ifndef CURSOR_H
#define CURSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct cursor {
    uint64_t change; /* 0: before the first one */
    uint32_t stamp;
};

enum { CURSOR_TAG = 16, CURSOR_TEXT = 64 }; /* sizes of a tag and of a cursor, with NUL */

/* Writes the text of a cursor of the database called tag; returns its length. */
size_t cursor_format(char text[CURSOR_TEXT], const char *tag, struct cursor c);

/* Reads a text of n bytes. False if it is not a cursor of the database called tag. */
bool cursor_parse(const char *text, size_t n, const char *tag, struct cursor *c);

#endif

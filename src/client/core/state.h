/*
 * Small files that chat keeps between two runs, below $XDG_STATE_HOME/chatd, or
 * ~/.local/state/chatd (XDG Base Directory Specification): the login, and cursors. The folder has
 * mode 0700, the files 0600. A file is replaced as a whole, so that whoever reads it finds the old
 * or the new one.
 */
#ifndef STATE_H
#define STATE_H

#include <stdbool.h>

#include "buf.h"

enum { STATE_MAX = 65536 }; /* bytes of a file at most */

/* The path of the file of this name, owned by the caller. A name with a slash is a path already. */
char *state_path(const char *name);

/* Appends the content of a file. False if there is none. Ends the program if it cannot be read, or
 * is too large. */
bool state_read(const char *path, struct buf *out);

/* Replaces a file, and makes its folders. Ends the program if that fails. */
void state_write(const char *path, const struct buf *content);

/* Removes a file, if there is one. */
void state_remove(const char *path);

#endif

/* Could another user have put there what is at a path? Ask before trusting it, running it, or
 * writing to it with privileges. */
#ifndef TRUST_H
#define TRUST_H

#include <sys/stat.h>

/* The fault of a file or folder, with the remedy, or NULL. It must belong to root or to this
 * process's user, and nobody else may write to it, except to a folder where nobody can replace
 * another's files (the sticky bit, as in /tmp). */
const char *trust_fault(const struct stat *st);

/* The same for all folders on the way to an absolute path and for what is there: both as written
 * and as symbolic links lead. A missing file is no fault. place, of PATH_MAX bytes, gets the one
 * with the fault. */
const char *trust_path_fault(const char *path, char *place);

#endif

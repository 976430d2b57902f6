/* Who else could have put there what lies at a path? To be asked before it is believed, run, or
 * written to with rights that others do not have. */
#ifndef TRUST_H
#define TRUST_H

#include <sys/stat.h>

/* What speaks against a file or a folder, with the remedy; NULL: nothing. It has to belong to root
 * or to the user of this process, and nobody else may write to it; only to a folder where nobody
 * can replace what is another's (the sticky bit, as of /tmp). */
const char *trust_fault(const struct stat *st);

/* The same of all folders on the way to an absolute path, and of what lies there: as the path is
 * written, and as symbolic links lead. That nothing lies there is no fault. place, of PATH_MAX
 * bytes, says which of them has one. */
const char *trust_path_fault(const char *path, char *place);

#endif

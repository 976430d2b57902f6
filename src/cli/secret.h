/* Reads what must not stand on a command line, where every user could read it. */
#ifndef SECRET_H
#define SECRET_H

#include <stdbool.h>
#include <stddef.h>

#include "buf.h"

/* Appends one line of standard input, without its end, to out, which the caller wipes. From a
 * terminal it is asked for, on standard error, and not shown; Ctrl-C there leaves a terminal that
 * shows what is typed. Reads nothing behind the line; keeps one byte more than most, so that the
 * caller can refuse it. False with errno if the input cannot be read. */
bool secret_read(struct buf *out, const char *question, size_t most);

#endif

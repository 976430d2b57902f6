/* The answer of a command that does something: what was done to what, line by line as it happens,
 * or with --json as one array at the end. */
#ifndef DONE_H
#define DONE_H

/* Something was done, or was found to be done already. */
void done_put(const char *what, const char *name, const char *how, ...)
    __attribute__((format(printf, 3, 4)));

/* That was all. */
void done_end(void);

#endif

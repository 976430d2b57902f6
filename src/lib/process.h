/* What a process asks of the kernel about itself. */
#ifndef PROCESS_H
#define PROCESS_H

#include <stdbool.h>

/* At the start of a program that anybody may have started, from anything: what it inherits is set.
 * Signals do what they do by default and none is blocked, no timer runs, descriptors 0 to 2 are
 * open, files are made for nobody else to write. */
void process_begin(void);

/* Raises the limit of open descriptors to at least n, as far as it may be raised; says so in the
 * log when that is too few. */
void process_need_descriptors(unsigned long n);

/* Ends with status 0, by _exit(2): what libraries would free, and the pages that this would touch,
 * go with the process. A sanitizer build looks for leaks first. */
void process_end(void) __attribute__((noreturn));

/* Nobody but root may look into this process: not its memory, not its descriptors, through /proc or
 * ptrace(2), and it leaves no core. fork(2) inherits that, execve(2) does not. */
void process_hide(void);

/* After a failed accept(2): is it that this process, or the system, has no room for a descriptor?
 * Then trying again at once is of no use. */
bool process_out_of_descriptors(int error);

/* /dev/null, to be read and written. */
int process_open_null(void);

/* Puts it at descriptors 0 and 1, too: what the master's were, a terminal perhaps, is not for its
 * children. 2 stays, for the last words of libc. */
void process_leave_terminal(int null);

/* In a child that is about to run a program: puts fds[i] at the number first + i, where it is not
 * -1, and closes all descriptors above these. */
void process_place_descriptors(int first, const int *fds, int count);

#endif

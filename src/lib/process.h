/* What a process asks of the kernel about itself. */
#ifndef PROCESS_H
#define PROCESS_H

#include <stdbool.h>

/* Resets what a program inherits, whatever started it: default signal actions, none blocked, no
 * timers, descriptors 0 to 2 open, and a umask that keeps others from writing. */
void process_begin(void);

/* Raises the limit of open descriptors to n if allowed; logs if it stays lower. */
void process_need_descriptors(unsigned long n);

/* Ends with this status, by _exit(2): letting libraries free their memory would only touch its
 * pages. A sanitizer build looks for leaks first. */
void process_end(int status) __attribute__((noreturn));

/* Nobody but root may look into this process: not its memory, not its descriptors, through /proc or
 * ptrace(2), and it leaves no core. fork(2) inherits that, execve(2) does not. */
void process_hide(void);

/* After a failed accept(2): is this process, or the system, out of descriptors? Then retrying at
 * once is useless. */
bool process_out_of_descriptors(int error);

/* /dev/null, to be read and written. */
int process_open_null(void);

/* Puts /dev/null at descriptors 0 and 1: the master's, perhaps a terminal, are not for its
 * children. 2 stays, for libc's last words. */
void process_leave_terminal(int null);

/* In a child that is about to run a program: puts fds[i] at the number first + i, and closes all
 * others but 0 to 2, whatever is there if fds[i] is -1. */
void process_place_descriptors(int first, const int *fds, int count);

#endif

/* What ps(1) shows of this process: "chatd: session alice 127.0.0.1". */
#ifndef PROCTITLE_H
#define PROCTITLE_H

/* Takes over the memory that holds argv and the environment, as execve(2) laid it out. The
 * environment moves elsewhere first, and the old copy, which /proc/PID/environ would still
 * show, is overwritten. Call once, first thing in main(). */
void proctitle_init(int argc, char **argv);

/* Sets the title: "chatd: " and the text, cut to fit. */
void proctitle_set(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif

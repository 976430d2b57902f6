/*
 * Asks the running servers of this host: every control.PID in run_dir, so that a server which
 * retires is asked as well as the one that has taken over (broker/control.h has the language).
 *
 * What they answer is believed no more than a stranger's: a server of another version may say
 * anything.
 */
#ifndef INQUIRY_H
#define INQUIRY_H

/* Asks all of them the same, one after the other, and gives each line of each answer to take, cut
 * into its words; the last is followed by NULL. pid: of the server's master. Returns how many have
 * answered; says on standard error which did not, and why. Ends the program with CTL_AWAY if
 * run_dir cannot be entered. */
int inquiry_all(const char *request, void (*take)(int pid, char **words));

/* Ends the program with CTL_AWAY: there is no server. */
void inquiry_none(void) __attribute__((noreturn));

#endif

/*
 * Answers the operators, whose connections the master hands over (master/operators.h), and the
 * exporter, for whom it makes them (master/monitor.h), and who has a place of its own.
 *
 * One request on each connection, a line of text; the answer is lines of text, the last of which
 * says "end", and then the connection is closed. Each line is a word and its values, separated by
 * spaces:
 *
 *   status              what the master said, then how this broker is: NAME VALUE lines
 *   metrics             database up, or away; then all that was counted (metrics.h)
 *   who                 session PID USER NAME STATE ADDRESS AGE QUEUED for each session that has
 *                       a channel; a hyphen for a name that is not known; milliseconds, bytes
 *   kick user NAME      closes what is online of this user here: kicked PID for each
 *   kick session PID    the same for one session
 *   error TEXT          in place of an answer
 *
 * The exporter may ask for metrics alone. Any other who connects is root or the user who started
 * chatd, and is believed; but a program of theirs may be broken. So few are served at a time, each
 * for a bounded time, with little memory, a slice of the answer in each round of the loop; none of
 * it needs the database.
 */
#ifndef CONTROL_H
#define CONTROL_H

/* Starts to take operators from the packet socket fd. */
void control_init(int fd);
void control_free(void);

#endif

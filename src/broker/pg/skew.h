/*
 * Whether this host's clock and the database's agree. Tokens expire by the clock of each host: one
 * that is behind accepts them for longer.
 *
 * They are compared when this host is attached, and about once a minute. The answer was given
 * between the question and its arrival, so only a difference that this time cannot explain counts.
 * The log has a warning when they begin to differ by over two seconds, and a line when they agree
 * again.
 */
#ifndef SKEW_H
#define SKEW_H

void skew_link_up(void);

/* To be called every two seconds while the link is up. */
void skew_tick(void);

#endif

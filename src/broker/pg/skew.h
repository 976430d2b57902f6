/*
 * Compares this host's clock with the database's. Tokens expire by each host's clock: one that is
 * behind accepts them for longer.
 *
 * It does so when this host attaches, and about once a minute. Only a difference that the round
 * trip cannot explain counts. The log has a warning when they begin to differ by over two seconds,
 * and a line when they agree again.
 */
#ifndef SKEW_H
#define SKEW_H

void skew_link_up(void);

/* Call this every two seconds while the link is up. */
void skew_tick(void);

#endif

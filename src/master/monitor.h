/*
 * What the exporter asks the master (exporter/numbers.h): a packet of one byte, whatever it is.
 *
 * The answer is a packet: a line with the phase of the server, then its numbers (facts.h), and with
 * it one end of a connection whose other end the broker gets, as it gets an operator's. The
 * exporter asks the broker there by itself, so the master waits for nobody. A master answers a few
 * times a second at most, whatever an exporter does.
 */
#ifndef MONITOR_H
#define MONITOR_H

#include <stdint.h>

struct facts;

/* Makes the packet sockets; returns the exporter's end. */
int monitor_init(void);

/* Where a question arrives; -1 while none is taken, which ends at *until, clock_ms(), if that is
 * sooner than it was. */
int monitor_fd(int64_t *until);

/* Answers one. */
void monitor_answer(const struct facts *facts);

enum { MONITOR_FACTS = 16384 }; /* bytes of an answer at most */

#endif

/* Time for deadlines. */
#ifndef CLOCK_H
#define CLOCK_H

#include <stdint.h>

/* Milliseconds of CLOCK_MONOTONIC: never steps, means nothing across a reboot. */
int64_t clock_ms(void);

/* Microseconds of the same, to measure with. */
int64_t clock_us(void);

/* Milliseconds from now until the deadline as poll(2) wants them: 0 if passed, -1 for CLOCK_NEVER.
 */
#define CLOCK_NEVER INT64_MAX
int clock_until(int64_t deadline);

#endif

/*
 * The stream of events, and what its frames change. When it ends it is opened again where it was,
 * by its cursor; when the server refuses the token, the program ends.
 */
#ifndef FOLLOW_H
#define FOLLOW_H

#include <stdbool.h>
#include <stdint.h>

/* Opens the stream when it is time, and takes what has come. follow_due() says when to call it
 * again, on clock_ms(). */
void follow_tick(void);
int64_t follow_due(void);

/* Does everything come that happens? */
bool follow_live(void);

/* Did it ever? Before that, what is asked for could be old when the stream begins. */
bool follow_began(void);

/* What there is to say of it in a word or two; and why it is not connected, "" if it is. */
const char *follow_state(void);
const char *follow_trouble(void);

void follow_free(void);

#endif

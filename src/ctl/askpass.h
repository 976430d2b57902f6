/* Asks for what must not stand on a command line, where every user could read it. */
#ifndef ASKPASS_H
#define ASKPASS_H

#include "buf.h"

/* Reads a password into out, which the caller wipes: from a terminal twice, without showing it;
 * from anything else the first line of standard input. Ends the program if it has not least to 72
 * bytes, or if the two differ. whose: for the question. */
void askpass_new(struct buf *out, const char *whose, int least);

/* Asks for a yes on the terminal; true at once with --yes. Without a terminal the answer is no. */
bool askpass_agreed(const char *question);

#endif

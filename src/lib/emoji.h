/*
 * What one can react with: an emoji, as a rule of several code points, or any short word.
 *
 * Which of the world's code points are emoji is another matter every year, so that is left to
 * clients. The table of reactions checks the same.
 */
#ifndef EMOJI_H
#define EMOJI_H

#include <stdbool.h>

#include "text.h"

enum { EMOJI_MAX = 32 }; /* bytes */

/* Is this UTF-8 of 1 to EMOJI_MAX bytes, without spaces and control characters? */
bool emoji_fits(struct text t);

#endif
